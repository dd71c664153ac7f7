//! `set --expires`, `expire`, `touch`, and where it is shown.

use crate::support::Cli;

/// The end of the year 2999 in microseconds.
const FAR: i64 = 32_503_593_600_000_000;

#[test]
fn what_expires_is_shown_and_can_be_changed() {
    let cli = Cli::new();
    cli.ok(["set", "--expires", "2h", "token", "abc"]);
    let shown = cli.json(["show", "token"]);
    assert!(
        shown["expires_at"].is_i64() && shown["bindings"][0]["expires_at"].is_i64(),
        "{shown}"
    );
    assert!(cli.ok(["show", "token"]).contains("\nexpires  20"));
    assert!(cli.ok(["ls"]).contains("EXPIRES"));
    let csv = cli.ok(["ls", "--format", "csv"]);
    assert!(csv.lines().next().unwrap().contains(",expires_at,"), "{csv}");

    assert_eq!(cli.ok(["expire", "token", "never"]), "token never expires\n");
    assert!(cli.json(["show", "token"])["expires_at"].is_null());
    let said = cli.ok(["expire", "token", "2999-12-31"]);
    assert_eq!(said, "token expires at 2999-12-31T00:00:00Z\n");
    let touched = cli.json(["touch", "token", "--expires", "1h"]);
    assert_eq!(touched[0]["expires_at"], FAR, "it never shortens");

    let refused = [
        (cli.fails(2, ["expire", "token", "2001-01-01"]), "which is past"),
        (cli.fails(2, ["expire", "token", "soon"]), "not a time to expire"),
        (cli.fails(1, ["expire", "other", "2h"]), "no object and no name"),
        (
            cli.fails(2, ["set", "--expires", "0s", "a", "b"]),
            "not a time to expire",
        ),
        (
            cli.fails(1, ["touch", "token", "other", "--expires", "2h"]),
            "no object and no name",
        ),
    ];
    for (error, why) in refused {
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn what_is_stored_without_a_name_expires_by_its_id() {
    let cli = Cli::new();
    cli.file("a", "hello");
    cli.ok(["put", "--expires", "7d", "a"]);
    let held = &cli.json(["ls"])[0];
    let id = held["object_id"].as_str().unwrap();
    assert!(held["expires_at"].is_i64());
    let said = cli.ok(["expire", &id[..8], "2999-12-31"]);
    assert!(said.contains(", stored without a name, expires at 2999"), "{said}");
    assert!(
        cli.ok(["show", id])
            .contains("held     by an allocation without a name, expires 2999")
    );
    cli.ok(["name", id, "it", "--expires", "1h"]);
    assert_eq!(cli.json(["ls"])[0]["expires_at"], FAR, "the last hold counts");
    cli.ok(["release", id]);
    assert!(cli.json(["ls"])[0]["expires_at"].as_i64().unwrap() < FAR);
    let error = cli.fails(2, ["expire", id, "2h"]);
    assert!(error.contains("no anonymous hold"), "{error}");
}

#[test]
fn what_has_expired_is_gone_and_a_collection_tells_what_it_gave_back() {
    let cli = Cli::new();
    cli.ok(["set", "--expires", "2h", "token", "abc"]);
    cli.ok(["set", "kept", "def"]);
    let sql = cli.sql();
    for table in ["names", "stored_objects"] {
        sql.execute(&format!(
            "UPDATE {table} SET expires_at = expires_at - 7200000000 WHERE expires_at IS NOT NULL"
        ));
    }
    drop(sql);
    assert_eq!(cli.json(["ls"]).as_array().unwrap().len(), 1);
    cli.fails(1, ["get", "token"]);
    assert!(
        cli.ok(["stats"])
            .contains("1 object in 2 pieces, 1.00 per object, and 1 object that expired")
    );
    let plan = cli.json(["plan", "1MiB", "--at", "+7d"]);
    assert!(plan["shortfall"].as_u64().unwrap() < 10, "{plan}");
    let said = cli.ok(["gc"]);
    assert!(
        said.starts_with("1 object and 1 name had expired: their 3 B are free\n"),
        "{said}"
    );
    let log = cli.json(["log", "--kind", "expire"]);
    assert_eq!((&log[0]["name"], &log[0]["bytes"]), (&"token".into(), &3.into()));
}

#[test]
fn a_get_refreshes_what_asks_for_it() {
    let cli = Cli::new();
    cli.ok(["set", "--idle", "1h", "session", "ann"]);
    cli.ok(["set", "--expires", "1h", "other", "bob"]);
    let ends = |name: &str| cli.json(["show", name])["bindings"][0]["expires_at"].as_i64().unwrap();
    let before = ["session", "other"].map(ends);
    assert!(cli.ok(["show", "session"]).contains(", 3600 s after each get"));
    cli.ok(["get", "session"]);
    cli.ok(["get", "other"]);
    assert!(ends("session") > before[0]);
    assert_eq!(ends("other"), before[1]);
    cli.ok(["expire", "other", "--idle", "2h"]);
    assert_eq!(cli.json(["show", "other"])["bindings"][0]["refresh"], 7_200_000_000_u64);
    cli.ok(["expire", "other", "never"]);
    cli.fails(2, ["expire", "other"]);
    cli.fails(2, ["set", "--idle", "1h", "--expires", "1h", "x", "y"]);
    let id = cli.json(["set", "twice", "ann"])["object_id"]
        .as_str()
        .unwrap()
        .to_owned();
    cli.file("file", "content");
    let id_of_file = cli.json(["put", "--idle", "1h", "file"])[0]["object_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let held = || cli.json(["show", &id_of_file])["held_until"].as_i64().unwrap();
    let before = held();
    cli.ok(["get", &id_of_file]);
    assert!(held() > before);
    let before = ends("session");
    // By its id, the anonymous hold is meant.
    cli.ok(["get", &id]);
    assert_eq!(ends("session"), before);
}
