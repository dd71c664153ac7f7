//! `report`: the page says what the other commands say, works in a browser, and is safe whatever names are in it.

mod browser;

use serde_json::{Value, json};

use crate::common::{content, server};
use crate::support::Cli;
use browser::Browser;

/// A heap of 1 MiB with a bit of everything.
fn heap() -> Cli {
    let cli = Cli::new();
    cli.ok(["init", "--max-mem", "1MiB"]);
    for (name, size) in [("large", 200_000), ("middle", 30_000), ("small", 700)] {
        cli.file(name, content(size, size));
        cli.ok(["put", "-q", "--name", name, "--tag", "owner=ann", name]);
    }
    cli.ok(["set", "answer", "42", "--tag", "owner=bob"]);
    cli.ok(["unname", "middle"]);
    cli.file("huge", content(1, 1_200_000));
    assert_eq!(cli.run(["put", "huge"]).status, 3);
    cli
}

fn page(cli: &Cli) -> String {
    cli.ok(["report", "-o", "heap.html", "--force"]);
    String::from_utf8(cli.read("heap.html")).unwrap()
}

/// The numbers of the page by their keys.
fn figures(browser: &mut Browser) -> Value {
    browser.value(
        "Object.fromEntries([...document.querySelectorAll('data[data-key]')].map(data => [data.dataset.key, [data.value, data.textContent]]))",
    )
}

#[test]
fn the_numbers_of_the_page_are_those_of_stats() {
    let cli = heap();
    page(&cli);
    let Some(mut browser) = Browser::open(&cli.path("heap.html"), [1240, 900]) else {
        return;
    };
    let (figures, stats) = (figures(&mut browser), cli.json(["stats"]));
    let mut wanted: Vec<(String, u64)> = Vec::new();
    for key in [
        "mem",
        "max_mem",
        "available",
        "reserved",
        "objects",
        "arenas",
        "peak_mem",
        "dedup_hits",
    ] {
        wanted.push((key.to_owned(), stats[key].as_u64().unwrap()));
    }
    for bucket in stats["buckets"].as_array().unwrap() {
        let key = bucket["bucket"].as_str().unwrap().replace(' ', "_");
        wanted.push((key, bucket["bytes"].as_u64().unwrap()));
    }
    for claim in stats["claims"].as_array().unwrap() {
        let key = format!("claim_{}", claim["claim"].as_str().unwrap());
        wanted.push((key, claim["bytes"].as_u64().unwrap()));
    }
    for (key, value) in wanted {
        assert_eq!(figures[&key][0], json!(value.to_string()), "{key}");
        let shown = figures[&key][1].as_str().unwrap().replace(',', "");
        assert_eq!(shown, value.to_string(), "{key}");
    }
    // At the end of the history, the slider and the map say the same.
    let mem = stats["mem"].as_u64().unwrap();
    let readout = browser.text("#readout").replace(',', "");
    assert!(readout.contains(&format!("({mem} bytes")), "{readout}");
    // It ends with 1 if something needs action.
    let findings: Value = serde_json::from_str(&cli.run(["doctor", "--format", "json"]).stdout).unwrap();
    for finding in findings.as_array().unwrap() {
        assert!(
            browser
                .text("#findings")
                .contains(finding["sentence"].as_str().unwrap())
        );
    }
    assert_eq!(browser.complaints, [""; 0]);
}

#[test]
fn the_slider_shows_the_layout_of_each_event() {
    let cli = heap();
    page(&cli);
    let Some(mut browser) = Browser::open(&cli.path("heap.html"), [1240, 900]) else {
        return;
    };
    let events = cli.json(["log"]).as_array().unwrap().len();
    assert_eq!(
        browser.value("+document.querySelector('#slider').max"),
        json!(events - 1)
    );
    let now = browser.text("#readout");
    browser.value("document.querySelector('#slider').focus()");
    browser.key("Home");
    let first = browser.text("#readout");
    assert!(
        first.starts_with("Event 1 ·") && first.contains("content 0 B"),
        "{first}"
    );
    assert_eq!(
        browser.value("document.querySelector('#slider').getAttribute('aria-valuetext')"),
        json!(first)
    );
    browser.key("ArrowRight");
    let second = browser.text("#readout").replace(',', "");
    assert!(second.contains("(200000 bytes"), "{second}");
    browser.click("#next");
    browser.click("#prev");
    assert_eq!(browser.text("#readout").replace(',', ""), second);
    // A click into the chart goes to that moment, and pointing at it tells of it.
    let [x, y, width, height] = browser.place("#chart");
    browser.mouse("mouseMoved", x + width - 2.0, y + height / 2.0);
    assert!(browser.text("#chart-tip").starts_with(&format!("Event {events} ·")));
    browser.mouse("mousePressed", x + width - 2.0, y + height / 2.0);
    browser.mouse("mouseReleased", x + width - 2.0, y + height / 2.0);
    assert_eq!(browser.text("#readout"), now);
    // Played from the end, it begins again.
    browser.click("#play");
    browser.wait("document.querySelector('#play').classList.contains('on')");
    browser.wait("!document.querySelector('#play').classList.contains('on')");
    assert_eq!(browser.text("#readout"), now);
    assert_eq!(browser.complaints, [""; 0]);
}

#[test]
fn cells_are_found_by_mouse_and_by_keyboard() {
    let cli = heap();
    page(&cli);
    let Some(mut browser) = Browser::open(&cli.path("heap.html"), [1240, 900]) else {
        return;
    };
    browser.place("#map");
    browser.value("document.querySelector('#map').focus()");
    browser.key("Home");
    let first = browser.text("#cell");
    assert!(first.starts_with("Arena 1, pool 1, block 1"), "{first}");
    assert!(
        first.contains("blocks of 256.0 KiB") && first.contains("content 512 B (100.0 %)"),
        "{first}"
    );
    browser.key("End");
    let last = browser.text("#cell");
    assert!(last.contains("not carved into pools"), "{last}");
    // The mouse finds a cell that the keyboard finds, wherever the map is.
    let [x, y, width, height] = browser.place("#map");
    browser.mouse("mouseMoved", x + width * 0.3, y + height * 0.3);
    let by_mouse = browser.text("#cell");
    assert!(by_mouse.starts_with("Arena "), "{by_mouse}");
    let tip = browser.text("#map-tip");
    assert_eq!(tip.lines().collect::<Vec<_>>().join(" · "), by_mouse);
    // Zooming at a point keeps the point, by any of three ways.
    for key in ["+", "=", "-", "0"] {
        browser.key(key);
    }
    browser.click("#in");
    assert_eq!(
        browser.value("document.querySelector('#map').dataset.zoom"),
        json!("1.60")
    );
    browser.click("#fit");
    assert_eq!(
        browser.value("document.querySelector('#map').dataset.zoom"),
        json!("1.00")
    );
    assert_eq!(browser.complaints, [""; 0]);
}

#[test]
fn filters_count_what_they_show() {
    let cli = heap();
    page(&cli);
    let Some(mut browser) = Browser::open(&cli.path("heap.html"), [1240, 900]) else {
        return;
    };
    let all = browser.text("#matches");
    browser.click("[data-state=uncarved]");
    let uncarved = browser.text("#matches");
    assert!(uncarved.contains("content 0 B, room in blocks 0 B"), "{uncarved}");
    browser.click("[data-state=all]");
    assert_eq!(browser.text("#matches"), all);
    // Without the class of 256 KiB, its content is left out, and only that.
    browser.click("#classes button:nth-child(4)");
    let without = browser.text("#matches");
    assert!(without.contains("content 702 B"), "{without}");
    browser.click("#classes button:nth-child(4)");
    assert_eq!(browser.text("#matches"), all);
    browser.click("#by-use");
    assert_eq!(
        browser.value("document.querySelector('#by-use').getAttribute('aria-pressed')"),
        json!("true")
    );
    assert_eq!(browser.complaints, [""; 0]);
}

#[test]
fn hostile_names_stay_names() {
    let cli = Cli::new();
    let hostile = [
        "</script><script>window.hacked = 1</script>",
        "\"><img src=x onerror='window.hacked = 1'>",
        "a\u{202e}b\u{1}\u{7f}\n<b>",
        "{{data}} &lt;i&gt; <!--",
    ];
    for (index, name) in hostile.iter().enumerate() {
        cli.file("file", content(index as u64, 5000 + index as u64));
        let tag = format!("owner={name}");
        let mut put = cli.command(["put", "-q", "file", "--name", name, "--tag", tag.as_str()]);
        put.env("HEAPLEDGER_ACTOR", name.replace('\u{1}', ""))
            .assert()
            .success();
    }
    cli.ok(["unname", hostile[1]]);
    let html = page(&cli);
    assert!(!html.contains("window.hacked = 1<") && !html.contains('\u{202e}') && !html.contains('\u{1}'));
    let Some(mut browser) = Browser::open(&cli.path("heap.html"), [1240, 900]) else {
        return;
    };
    let names = browser.value("[...document.querySelectorAll('#objects bdi')].map(name => name.textContent)");
    let names: Vec<String> = serde_json::from_value(names).unwrap();
    for shown in [hostile[0], "a\\u{202e}b\\u{1}\\u{7f}\\n<b>", hostile[3]] {
        assert!(names.iter().any(|name| name == shown), "{shown}: {names:?}");
    }
    assert!(browser.text("#flows").contains(hostile[1]));
    assert_eq!(
        browser.value("[window.hacked, document.querySelectorAll('img, bdi *').length]"),
        json!([null, 0])
    );
    assert_eq!(browser.complaints, [""; 0]);
}

#[test]
fn the_page_fits_narrow_windows_and_both_schemes() {
    let cli = heap();
    page(&cli);
    let Some(mut browser) = Browser::open(&cli.path("heap.html"), [380, 800]) else {
        return;
    };
    for scheme in ["light", "dark"] {
        browser.prefer(scheme);
        for width in [320, 380, 768, 1240] {
            browser.resize([width, 800]);
            browser.wait(&format!("window.innerWidth === {width}"));
            // Nothing but tables scrolls sideways, and nothing is drawn outside of the map.
            assert_eq!(
                browser.value("document.documentElement.scrollWidth <= window.innerWidth"),
                json!(true),
                "{width}"
            );
            browser.wait("document.querySelector('#map').getBoundingClientRect().width <= document.querySelector('#mapbox').clientWidth");
        }
    }
    let dark = browser.value("getComputedStyle(document.body).backgroundColor");
    browser.prefer("light");
    assert_ne!(browser.value("getComputedStyle(document.body).backgroundColor"), dark);
    assert_eq!(browser.complaints, [""; 0]);
}

#[test]
fn a_page_of_the_past_leaves_out_what_only_the_present_tells() {
    let cli = heap();
    cli.ok(["report", "-o", "then.html", "--at", "@2"]);
    let then = String::from_utf8(cli.read("then.html")).unwrap();
    assert!(then.contains("after event 2 of") && !then.contains("id=\"objects\"") && !then.contains("id=\"findings\""));
    assert!(then.contains("<data value=\"200000\" data-key=\"mem\">200,000</data>"));
    let error = cli.fails(2, ["report", "-o", "x.html", "--since", "@5", "--at", "@2"]);
    assert!(error.contains("after the end"), "{error}");
    assert!(!cli.path("x.html").exists());
}

#[test]
fn nothing_is_overwritten_by_accident_and_never_the_heap() {
    let cli = heap();
    let written = cli.json(["report", "-o", "heap.html"]);
    assert_eq!(written["bytes"], json!(cli.read("heap.html").len()));
    let error = cli.fails(2, ["report", "-o", "heap.html"]);
    assert!(error.contains("--force"), "{error}");
    cli.ok(["report", "-o", "heap.html", "-f"]);
    let stdout = cli.ok(["report", "-o", "-"]);
    assert!(stdout.starts_with("<!DOCTYPE html>") && stdout.ends_with("</html>\n"));
    if server().is_none() {
        let error = cli.fails(2, ["report", "-o", "heap.db", "--force"]);
        assert!(error.contains("it is the heap"), "{error}");
        cli.ok(["check"]);
    }
    cli.fails(2, ["report", "-o", "missing/heap.html"]);
}

#[test]
fn a_large_history_takes_little() {
    let cli = Cli::new();
    cli.ok(["init", "--max-mem", "64MiB"]);
    let memory = cli.library();
    for round in 0..20u64 {
        let ids = memory.batch(|batch| {
            (0..500)
                .map(|n| batch.allocate_bytes(&content(round * 500 + n, 900 + n)))
                .collect::<Result<Vec<_>, _>>()
        });
        for id in ids.unwrap().iter().step_by(3) {
            memory.force_free(id).unwrap();
        }
    }
    drop(memory);
    let written = cli.json(["report", "-o", "heap.html"]);
    assert!(written["bytes"].as_u64().unwrap() < 5_000_000, "{written}");
    let Some(mut browser) = Browser::open(&cli.path("heap.html"), [1240, 900]) else {
        return;
    };
    let stats = cli.json(["stats"]);
    assert_eq!(figures(&mut browser)["mem"][0], json!(stats["mem"].to_string()));
    assert!(browser.text("#map-s").contains("which may be many small blocks"));
    assert_eq!(browser.complaints, [""; 0]);
}
