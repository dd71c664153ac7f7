use super::*;

fn address(text: &str) -> Address {
    Address::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"))
}

#[test]
fn libpq_gets_the_same_text_without_the_schema() {
    for text in [
        "postgres://",
        "postgresql://",
        "postgresql:///",
        "postgresql://host",
        "postgres://host/db",
        "postgres://me@host:5432/db",
        "postgres://me:secret@host:5432/db",
        "postgres://me:secret@/db?host=/var/run/postgresql",
        "postgres://m%40e:s%3Ae%2Fc%3Fret@host/my%20db",
        "postgres://me:se cret!#$'\"@host/db",
        "postgres://%2Fvar%2Frun%2Fpostgresql/db",
        "postgres://[::1]:5432,[2001:db8::1],host,:5433/db?target_session_attrs=read-write",
        "postgres://a:1,b:2/db?options=-c%20geqo%3Doff&sslmode=verify-full",
        "postgres:///?service=heaps",
        "postgres:///?service=heaps&user=me@there",
        "postgres://host?dbname=db&user=me",
        "postgres:///db?password=a%40b",
    ] {
        let plain = address(text);
        assert_eq!((plain.parts.to_text().as_str(), plain.schema()), (text, "heapledger"));
        let sign = if text.contains('?') { '&' } else { '?' };
        for schema in ["schema=my%20heap", "s%63hema=my heap"] {
            let named = address(&format!("{text}{sign}{schema}"));
            assert_eq!((named.parts.to_text().as_str(), named.schema()), (text, "my heap"));
        }
    }
    let between = address("postgres://host/db?sslmode=require&schema=a&connect_timeout=3");
    assert_eq!(
        between.parts.to_text(),
        "postgres://host/db?sslmode=require&connect_timeout=3"
    );
    assert_eq!(address("PostgreSQL://host").parts.to_text(), "postgresql://host");
}

#[test]
fn libpq_does_not_wait_forever_unless_somebody_says_so() {
    let limited = |text, set: &[&str]| address(text).for_libpq(|variable| set.contains(&variable));
    let keepalives = "keepalives_idle=20&keepalives_interval=5&keepalives_count=4&tcp_user_timeout=40000";
    assert_eq!(
        limited("postgres://host/db?schema=x", &[]),
        format!("postgres://host/db?connect_timeout=10&{keepalives}")
    );
    assert_eq!(
        limited("postgres://host/db?c%6fnnect_timeout=0", &[]),
        format!("postgres://host/db?c%6fnnect_timeout=0&{keepalives}")
    );
    assert_eq!(
        limited("postgres://host/db", &["PGCONNECT_TIMEOUT"]),
        format!("postgres://host/db?{keepalives}")
    );
    assert_eq!(limited("postgres://", &["PGSERVICE"]), "postgres://");
    assert_eq!(limited("postgres:///?service=a", &[]), "postgres:///?service=a");
}

#[test]
fn a_schema_is_one_that_postgres_takes_as_it_is() {
    let long = "ä".repeat(31) + "x";
    for (given, schema) in [
        ("a", "a"),
        ("public", "public"),
        ("x%22y%26z", "x\"y&z"),
        (&long, &long),
    ] {
        assert_eq!(address(&format!("postgres://host/db?schema={given}")).schema(), schema);
    }
    assert_eq!(address("postgres:///?schema=x%22y").quoted_schema(), "\"x\"\"y\"");
    for given in [
        "",
        &"ä".repeat(32),
        "pg_temp",
        "pg_x",
        "information_schema",
        "$user",
        "%24user",
        "%ff",
        "a&schema=b",
        "a%00",
        "a\0",
    ] {
        let why = Address::parse(&format!("postgres://me:secret@host/db?schema={given}")).unwrap_err();
        assert!(!why.to_string().contains("secret"), "{why}");
    }
}

#[test]
fn it_is_shown_so_that_it_names_the_same_heap_and_no_password() {
    for (text, shown) in [
        ("postgres://", "postgres://?schema=heapledger"),
        ("postgres://me@host:1/db", "postgres://me@host:1/db?schema=heapledger"),
        (
            "postgres://me:secret@host/db?schema=a%20b",
            "postgres://me@host/db?schema=a%20b",
        ),
        ("postgres://:secret@host/db", "postgres://@host/db?schema=heapledger"),
        (
            "postgres://me@a,[::1]:2?dbname=x&password=secret&sslpassword=secret&passwd=secret&sslmode=require",
            "postgres://me@a,[::1]:2?dbname=x&schema=heapledger",
        ),
        (
            "postgresql:///?host=/run&port=1&service=x&p%61ssword=secret",
            "postgresql:///?host=/run&port=1&service=x&schema=heapledger",
        ),
    ] {
        let address = address(text);
        assert_eq!(address.to_string(), shown);
        assert_eq!(format!("{address:?}"), format!("Address({shown})"));
        let again = Address::parse(shown).unwrap();
        assert_eq!((again.to_string().as_str(), again.schema()), (shown, address.schema()));
    }
}

#[test]
fn it_knows_whether_it_has_a_password() {
    for text in [
        "postgres://me:x@host",
        "postgres://:x@host",
        "postgres:///?password=x",
        "postgres:///?p%61ssword=x",
        "postgres:///?sslpassword=x",
        "postgres:///?oauth_client_secret=x",
    ] {
        assert!(address(text).has_password(), "{text}");
    }
    for text in [
        "postgres://me@host",
        "postgres://me:@host",
        "postgres:///?password=",
        "postgres:///?passfile=/home/me/.pgpass",
        "postgres:///password",
    ] {
        assert!(!address(text).has_password(), "{text}");
    }
}

#[test]
fn messages_lose_the_password_in_every_spelling() {
    let other = address("postgres://me:s%65cret%25@host/db?password=hidden%2Bword&sslpassword=x");
    for (message, masked) in [
        (
            "in URI: \"postgres://me:s%65cret%25@[\"",
            "in URI: \"postgres://me:***@[\"",
        ),
        ("token: \"secret%\" or \"hidden+word\"", "token: \"***\" or \"***\""),
        ("hidden%2Bword", "***"),
        ("x: \"x\", xx, example (x)", "***: \"***\", xx, example (***)"),
        ("connection refused", "connection refused"),
    ] {
        assert_eq!(other.mask(message), masked);
    }
    assert_eq!(address("postgres://me@host").mask("any text"), "any text");
    // A secret within another one.
    let nested = address("postgres://me:secret@host/?sslpassword=secretsecret1");
    assert_eq!(nested.mask("secretsecret1 secret"), "*** ***");
    let binary = address("postgres://me:%ff%feword@host/");
    let message = String::from_utf8_lossy(b"it is \xff\xfeword");
    assert_eq!(binary.mask(&message), "it is ***");
}

#[test]
fn what_would_make_a_password_part_of_something_else_is_refused_without_repeating_it() {
    for text in [
        "postgres:secret",
        "host=there password=secret",
        "postgres://me:se@cret@host/db",
        "postgres://me:a/secret@host/db",
        "postgres://me:1/secret@host/db",
        "postgres://me:1/2?secret@host/db",
        "postgres://me:1/2?x=secret@host/db",
        "postgres://me:a@b/secret@host/db",
        "postgres://me:secret/db",
        "postgres://me:secret,host/db",
        "postgres://[::1]:secret/db",
        "postgres://me:a?secret@host/db",
        "postgres://host?password=a@secret",
        "postgres://me:secret%@host/db",
        "postgres://me:secret%4@host/db",
        "postgres://me:secret%zz@host/db",
        "postgres://me:secret%00@host/db",
        "postgres://host/db?secret",
        "postgres://host/db?password=secret=",
    ] {
        let why = Address::parse(text).unwrap_err().to_string();
        assert!(!why.contains("secret"), "{text}: {why}");
    }
}

#[test]
fn one_host_replaces_all() {
    for (text, node) in [
        (
            "postgres://me:secret@a:1,b:2/db?schema=x&sslmode=require&hostaddr=10.0.0.1,10.0.0.2",
            "postgres://me:secret@n-1.example:5433/db?sslmode=require&hostaddr=",
        ),
        (
            "postgres:///?host=a&port=1&dbname=db",
            "postgres://n-1.example:5433/?dbname=db&hostaddr=",
        ),
    ] {
        let moved = address(text).at_node("n-1.example", 5433);
        assert_eq!(
            (moved.parts.to_text().as_str(), moved.schema()),
            (node, address(text).schema())
        );
        assert_eq!(moved.has_password(), address(text).has_password());
    }
    let moved = |host| address("postgres://a/db").at_node(host, 1).parts.to_text();
    assert_eq!(moved("::1"), "postgres://[::1]:1/db?hostaddr=");
    assert_eq!(moved("/run/pg"), "postgres://%2Frun%2Fpg:1/db?hostaddr=");
}
