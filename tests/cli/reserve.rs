//! Reservations: each command is a process of its own, so they are in the file.

use crate::support::Cli;

/// A heap of 64 KiB.
fn cli() -> Cli {
    let cli = Cli::new();
    cli.ok(["init", "--max-mem", "64KiB"]);
    cli
}

#[test]
fn bytes_are_reserved_posted_and_given_up() {
    let cli = cli();
    let out = cli.ok(["reserve", "40KiB", "--key", "report", "--expires", "1h"]);
    assert!(out.starts_with("reserved 40.0 KiB as report, until 20"), "{out}");
    let stats = cli.json(["stats"]);
    assert_eq!(
        (&stats["promised"], &stats["available"]),
        (&40_960.into(), &24_576.into())
    );
    let claims = &stats["claims"];
    assert_eq!(
        (&claims[3]["claim"], &claims[3]["bytes"]),
        (&"promised".into(), &40_960.into())
    );
    let table = cli.ok(["stats", "--bytes"]);
    assert!(table.contains("promised   40960  62.5 %"), "{table}");
    assert!(table.contains("available  24576  37.5 %"), "{table}");

    cli.file("report.txt", "x".repeat(30_000));
    let out = cli.ok(["post", "report", "report.txt", "--name", "it"]);
    assert!(out.ends_with("  report.txt\n"), "{out}");
    assert_eq!(cli.ok(["get", "it"]).len(), 30_000);
    assert_eq!(cli.json(["stats"])["available"], 65_536 - 30_000);

    // The same again tells what became of it.
    let again = cli.json(["reserve", "40KiB", "--key", "report"]);
    let id = cli.json(["show", "it"])["object_id"].clone();
    assert_eq!((&again["state"], &again["object_id"]), (&"posted".into(), &id));
    let text = cli.ok(["reserve", "40KiB", "--key", "report"]);
    assert!(text.starts_with("report is posted, as "), "{text}");

    cli.ok(["reserve", "10", "--key", "draft"]);
    let out = cli.ok(["void", "draft"]);
    assert_eq!(out, "voided draft: its 10 B are available again\n");
    let again = cli.run(["reserve", "10", "--key", "draft"]);
    assert_eq!(
        (again.status, again.stdout.as_str()),
        (1, "draft is voided; nothing is reserved\n")
    );
    let out = cli.ok(["reserve", "20", "--key", "draft", "--again"]);
    assert!(out.starts_with("reserved 20 B as draft, until "), "{out}");
    cli.ok(["check"]);
}

#[test]
fn a_stream_is_posted_too() {
    let cli = cli();
    let made = cli.json(["reserve", "1000"]);
    assert_eq!(made["key"], "reservation-1");
    let ran = cli.sh("seq 100 | heapledger post reservation-1 - --name numbers");
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("stored 1 object: 1 new"), "{}", ran.stderr);
    assert!(cli.ok(["get", "numbers"]).ends_with("\n100\n"));
}

#[test]
fn reservations_are_listed_in_every_format() {
    let cli = cli();
    cli.ok(["reserve", "1000", "--key", "one"]);
    cli.ok(["reserve", "2000", "--key", "two"]);
    cli.ok(["void", "two"]);
    let table = cli.ok(["ls", "--reservations", "--bytes"]);
    let lines: Vec<_> = table.lines().collect();
    assert!(lines[0].starts_with("RESERVATION  STATE "), "{table}");
    assert!(
        lines[1].starts_with("one          open ") && lines[2].starts_with("two          voided "),
        "{table}"
    );
    let json = cli.json(["ls", "--reservations"]);
    assert_eq!(
        (&json[0]["key"], &json[0]["promised"], &json[1]["promised"]),
        (&"one".into(), &1000.into(), &0.into())
    );
    assert!(json[0]["expires"].as_str().unwrap().ends_with('Z') && json[0]["resolved"].is_null());
    let csv = cli.ok(["ls", "--reservations", "--format", "csv"]);
    let head = "id,space,key,state,bytes,written,promised,object_id,created,expires,resolved";
    assert_eq!(csv.lines().next(), Some(head));
    assert_eq!(csv.lines().count(), 3);
    let log = cli.ok(["log", "--kind", "reserve,void"]);
    assert!(
        log.contains("reserve") && log.contains("void") && log.contains("two"),
        "{log}"
    );
}

#[test]
fn every_mistake_has_its_error_and_status() {
    let cli = cli();
    cli.file("small", "hello");
    cli.file("large", "x".repeat(2000));
    cli.ok(["reserve", "1000", "--key", "open"]);
    cli.ok(["reserve", "1000", "--key", "posted"]);
    cli.ok(["post", "posted", "small"]);
    cli.ok(["reserve", "1000", "--key", "voided"]);
    cli.ok(["void", "voided"]);
    cli.ok(["reserve", "1000", "--key", "lapsed", "--expires", "1ms"]);
    cli.ok(["set", "a", "write"]);
    let before = cli.json(["ls", "--reservations"]);
    for (status, args, text) in [
        (2, &["reserve", "0"][..], "a reservation of 0 bytes: it has at least 1"),
        (2, &["reserve", "-1"], "not a size"),
        (2, &["reserve", "1", "--expires", "0s"], "not a span of time"),
        (2, &["reserve", "1", "--expires", "-5m"], "unexpected argument"),
        (2, &["reserve", "1", "--key", ""], "a key of 0 bytes"),
        (3, &["reserve", "1MiB"], "out of memory: 1,048,576 bytes needed"),
        (
            3,
            &["reserve", "65000"],
            "promised to reservation \"open\", without which",
        ),
        (
            2,
            &["reserve", "7", "--key", "open"],
            "of 1,000 bytes, not of 7; nothing was changed; use another --key",
        ),
        (
            1,
            &["post", "nothing", "small"],
            "no reservation \"nothing\" in space main; `heapledger ls --reservations`",
        ),
        (1, &["void", "nothing"], "no reservation \"nothing\""),
        (1, &["void", "99"], "no reservation \"99\""),
        (1, &["void", "upload 99"], "no reservation \"99\""),
        (2, &["post", "posted", "small"], "was posted before, as object 2cf24dba"),
        (2, &["void", "posted"], "was posted before"),
        (2, &["post", "voided", "small"], "was voided before"),
        (2, &["void", "voided"], "was voided before"),
        (2, &["post", "lapsed", "small"], "lapsed: its time was over at 20"),
        (
            2,
            &["post", "open", "large"],
            "the content has 2,000 bytes, and reservation \"open\" has 1,000",
        ),
        (2, &["post", "open", "missing"], "No such file"),
        (2, &["post", "open", "."], "is a directory"),
        (2, &["post", "open", "small", "--name", "a", "--keep"], "is taken"),
    ] {
        let ran = cli.run_all(args);
        assert_eq!(ran.status, status, "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(text), "{args:?}: {}", ran.stderr);
        assert_eq!(ran.stderr.lines().count(), 1, "{args:?}: {}", ran.stderr);
        assert!(
            !ran.stderr.contains("MemManager") && !ran.stderr.contains("Reservation::"),
            "{}",
            ran.stderr
        );
    }
    assert_eq!(cli.json(["ls", "--reservations"]), before);
}

#[test]
fn what_is_promised_is_told_where_room_is_asked_for() {
    let cli = cli();
    cli.ok(["reserve", "60KiB", "--key", "k"]);
    cli.file("file", "x".repeat(10_000));
    let put = cli.run(["put", "file"]);
    let line = put.stderr.lines().last().unwrap();
    assert_eq!(put.status, 3);
    assert!(
        line.contains("10,000 bytes needed, 4,096 of 65,536 free, and 61,440 are promised to reservation \"k\""),
        "{line}"
    );
    assert!(line.contains("give reservations up with `heapledger void`"), "{line}");
    let plan = cli.run(["put", "--dry-run", "file"]);
    assert!(
        plan.stderr.contains("(60.0 KiB are promised to reservations)"),
        "{}",
        plan.stderr
    );
    let plan = cli.run(["plan", "10000"]);
    assert_eq!(plan.status, 1);
    assert!(
        plan.stdout
            .contains("promised   60.0 KiB to k; without them it would fit"),
        "{}",
        plan.stdout
    );
    assert_eq!(cli.json(["usage"])[0]["promised"], 61_440);
    assert_eq!(cli.json(["spaces"])[0]["promised"], 61_440);
    let doctor = cli.run(["doctor"]);
    assert!(
        doctor
            .stdout
            .contains("60.0 KiB of the space are promised to reservations"),
        "{}",
        doctor.stdout
    );
    assert!(
        doctor.stdout.contains("heapledger --db heap.db ls --reservations"),
        "{}",
        doctor.stdout
    );
    let line = cli.fails(2, ["resize", "32KiB"]);
    assert!(
        line.contains("it stores 0, and 61,440 are promised to reservations; give"),
        "{line}"
    );
}
