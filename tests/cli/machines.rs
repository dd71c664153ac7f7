//! What other programs follow: metrics, and events as they happen.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use openmetrics_parser::openmetrics::parse_openmetrics;
use openmetrics_parser::{MetricNumber, OpenMetricsValue};
use serde_json::Value;

use crate::support::Cli;

/// Every sample by its name and its labels, as another program reads them.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let parsed = parse_openmetrics(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let mut samples = BTreeMap::new();
    for (name, family) in parsed.families {
        assert!(!family.help.is_empty(), "{name}");
        for sample in family.iter_samples() {
            let labels = sample.get_labelset().unwrap();
            let labels: Vec<_> = labels.iter().map(|(label, value)| format!("{label}={value}")).collect();
            let value = match &sample.value {
                OpenMetricsValue::Gauge(value) | OpenMetricsValue::Unknown(value) => *value,
                OpenMetricsValue::Counter(counter) => counter.value,
                OpenMetricsValue::Info => MetricNumber::Int(1),
                other => panic!("{name}: {other:?}"),
            };
            samples.insert(format!("{name} {}", labels.join(" ")).trim().to_owned(), value.as_f64());
        }
    }
    samples
}

fn refuse(cli: &Cli) {
    cli.file("large", vec![7; 2 << 20]);
    cli.fails(3, ["put", "-q", "large"]);
}

#[test]
fn metrics_are_the_figures_of_stats() {
    let cli = Cli::new();
    cli.ok(["init", "--max-mem", "1MiB"]);
    cli.ok(["--space", "a \"b\\c", "init", "--max-mem", "64KiB"]);
    cli.ok(["set", "x", "a text"]);
    refuse(&cli);
    refuse(&cli);
    let found = samples(&cli.ok(["metrics"]));
    let stats = cli.json(["stats"]);
    for bucket in stats["buckets"].as_array().unwrap() {
        let name = format!(
            "heapledger_bucket_bytes bucket={} space=main",
            bucket["bucket"].as_str().unwrap()
        );
        assert_eq!(
            found.get(&name),
            bucket["bytes"].as_f64().as_ref(),
            "{name}: {found:#?}"
        );
    }
    let of = |name: &str| found.get(&format!("heapledger_{name}")).copied();
    assert_eq!(of("capacity_bytes space=main"), Some(1_048_576.0));
    assert!(
        found
            .keys()
            .any(|name| name.starts_with("heapledger_capacity_bytes space=a \"b")),
        "{found:#?}"
    );
    assert_eq!(of("events kind=refusal space=main"), Some(2.0), "{found:#?}");
    assert_eq!(of("events kind=evict space=main"), Some(0.0));
    assert_eq!(of("events kind=bind space=main"), Some(1.0));
    assert_eq!(of("file_bytes"), stats["file_size"].as_f64());
    let sum = |part: &str| -> f64 {
        let parts = found
            .iter()
            .filter(|(name, _)| name.starts_with(part) && name.ends_with(" space=main"));
        parts.map(|(_, value)| value).sum()
    };
    assert_eq!(sum("heapledger_bucket_bytes"), 1_048_576.0);
    assert_eq!(sum("heapledger_claim_bytes"), 1_048_576.0);

    assert!(!found.keys().any(|name| name.contains("quota")), "{found:#?}");

    let one = samples(&cli.ok(["metrics", "--space", "main"]));
    assert!(!one.keys().any(|name| name.contains("space=a")));
    assert!(cli.fails(2, ["metrics", "--space", "none"]).contains("none"));
    assert!(cli.fails(2, ["metrics", "--format", "json"]).contains("OpenMetrics"));
}

#[test]
fn metrics_tell_what_owners_have_of_their_quotas() {
    let cli = Cli::new();
    cli.ok(["init", "--max-mem", "1MiB"]);
    cli.file("photo", vec![1; 600]);
    cli.ok(["put", "-q", "--tag", "owner=ann", "photo"]);
    cli.ok(["quota", "owner=ann", "--hard", "1000B", "--objects", "3"]);
    cli.ok(["quota", "owner=a \"b", "--soft", "5B"]);
    let found = samples(&cli.ok(["metrics"]));
    let of = |owner: &str| {
        [
            "used_bytes",
            "hard_bytes",
            "soft_bytes",
            "used_objects",
            "hard_objects",
            "soft_objects",
        ]
        .map(|figure| {
            let name = format!("heapledger_quota_{figure} key=owner space=main value={owner}");
            found.get(&name).copied()
        })
    };
    assert_eq!(
        of("ann"),
        [Some(600.0), Some(1000.0), None, Some(1.0), Some(3.0), None],
        "{found:#?}"
    );
    assert_eq!(
        of("a \"b"),
        [Some(0.0), None, Some(5.0), Some(0.0), None, None],
        "{found:#?}"
    );
}

/// A command that runs until it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    fn of(cli: &Cli, args: &[&str]) -> Self {
        let mut program = cli.program(args);
        let piped = program
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self(piped.spawn().unwrap())
    }

    fn lines(&mut self) -> impl Iterator<Item = Value> + use<> {
        let stdout = BufReader::new(self.0.stdout.take().unwrap());
        stdout.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap())
    }
}

fn ask(address: &str, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[test]
fn metrics_are_served_to_those_who_ask_for_them() {
    let cli = Cli::new();
    cli.ok(["init", "--max-mem", "1MiB"]);
    refuse(&cli);
    let mut server = Running::of(&cli, &["metrics", "--listen", "0"]);
    let mut line = String::new();
    let told = BufReader::new(server.0.stderr.take().unwrap()).read_line(&mut line);
    assert!(told.is_ok() && line.starts_with("http://127.0.0.1:"), "{line}");
    let address = line.trim().trim_start_matches("http://").trim_end_matches("/metrics");
    let get = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    let (head, body) = ask(address, get);
    assert!(
        head.starts_with("HTTP/1.1 200 ") && head.contains("application/openmetrics-text"),
        "{head}"
    );
    let refusals = "heapledger_events kind=refusal space=main";
    assert_eq!(samples(&body)[refusals], 1.0);
    // What others do is seen, and what is counted only grows.
    cli.ok(["set", "x", "a text"]);
    refuse(&cli);
    cli.ok(["history", "off"]);
    cli.ok(["history", "on"]);
    cli.ok(["--space", "later", "init", "--max-mem", "64KiB"]);
    let (_, body) = ask(address, get);
    let found = samples(&body);
    assert_eq!(found[refusals], 2.0);
    assert_eq!(found["heapledger_bucket_bytes bucket=payload space=main"], 6.0);
    assert_eq!(found["heapledger_objects space=later"], 0.0);

    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n", "404"),
        ("POST /metrics HTTP/1.1\r\n\r\n", "405"),
        ("nonsense\r\n\r\n", "400"),
        (&format!("GET /metrics HTTP/1.1\r\nx: {}", "y".repeat(8200)), "431"),
    ] {
        let (head, _) = ask(address, request);
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {head}");
    }
    let (head, body) = ask(address, "HEAD /metrics HTTP/1.1\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 ") && body.is_empty(), "{head}");
    assert!(
        cli.fails(2, ["metrics", "--listen", "nowhere"])
            .contains("cannot listen on nowhere")
    );
}

#[test]
fn watch_continues_where_it_stopped() {
    let cli = Cli::new();
    cli.ok(["init", "--max-mem", "1MiB"]);
    cli.ok(["set", "a", "one"]);
    let mut watch = Running::of(&cli, &["watch", "--after", "0"]);
    let mut lines = watch.lines();
    let kinds: Vec<_> = lines.by_ref().take(3).map(|event| event["kind"].clone()).collect();
    assert_eq!(kinds, ["opening", "allocate", "bind"]);
    let mut watch_reason = Running::of(&cli, &["watch", "--after", "0", "--reason", "a test"]);
    cli.ok(["set", "b", "two", "--reason", "a test"]);
    assert_eq!(watch_reason.lines().next().unwrap()["reason"], "a test");
    drop(watch_reason);
    let allocated = lines.next().unwrap();
    assert_eq!(
        (&allocated["kind"], &allocated["space"]),
        (&"allocate".into(), &"main".into())
    );
    drop((lines, watch));

    let after = allocated["id"].to_string();
    let mut watch = Running::of(&cli, &["watch", "--after", &after]);
    let mut lines = watch.lines();
    assert_eq!(lines.next().unwrap()["name"], "b");
    refuse(&cli);
    let refusal = lines.next().unwrap();
    refuse(&cli);
    let again = lines.next().unwrap();
    assert_eq!((&refusal["kind"], &refusal["count"]), (&"refusal".into(), &1.into()));
    assert_eq!((&again["id"], &again["count"]), (&refusal["id"], &2.into()));
    assert!(cli.fails(2, ["watch", "--format", "csv"]).contains("--format"));
    let refused = cli.fails(2, ["watch", "--after", "5000"]);
    assert!(
        refused.contains("event 5000 has not happened yet; the newest is "),
        "{refused}"
    );
}

#[test]
fn watch_ends_when_nobody_reads_it() {
    let cli = Cli::new();
    cli.ok(["set", "a", "one"]);
    let mut watch = Running::of(&cli, &["watch"]);
    drop(watch.0.stdout.take());
    // Without any event.
    assert!(watch.0.wait().unwrap().success());
}

#[test]
fn a_signal_ends_watch() {
    let cli = Cli::new();
    cli.ok(["set", "a", "one"]);
    let script = r#""$0" watch --after 0 > lines & sleep 0.1; until grep -q bind lines; do sleep 0.05; done
                    kill -TERM $!; wait $!; echo $?; wc -l < lines"#;
    let ran = cli.script(script).output().unwrap();
    assert_eq!(
        String::from_utf8(ran.stdout)
            .unwrap()
            .split_whitespace()
            .collect::<Vec<_>>(),
        ["143", "3"]
    );
    cli.ok(["set", "a", "two"]);
    cli.ok(["check"]);
}
