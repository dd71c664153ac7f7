//! What a role may do is what it was granted: to read, to write, to create.

use heapledger::{Error, MemManager, ServerError};

use crate::common::{Place, on_server};
use crate::support::Cli;

/// A role of one test, without any privilege.
pub struct Role<'p> {
    pub name: String,
    place: &'p Place,
}

impl<'p> Role<'p> {
    pub fn new(place: &'p Place, name: &str) -> Self {
        let name = format!("{name}_{}", schema(place));
        place.sql().execute(&format!("CREATE ROLE {name}"));
        Self { name, place }
    }

    /// The address of the place for this role, whoever connects.
    pub fn address(&self) -> String {
        format!("{}&options=-c%20role%3D{}", text(self.place), self.name)
    }

    pub fn may_read(&self) {
        let (schema, role) = (schema(self.place), &self.name);
        self.place.sql().execute(&format!(
            "GRANT USAGE ON SCHEMA {schema} TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}"
        ));
        // Citus passes this on to its nodes for tables only, unless a view is named.
        for view in self.place.sql().views() {
            self.place.sql().execute(&format!("GRANT SELECT ON {view} TO {role}"));
        }
    }
}

impl Drop for Role<'_> {
    fn drop(&mut self) {
        let name = &self.name;
        self.place
            .sql()
            .execute(&format!("DROP OWNED BY {name} CASCADE; DROP ROLE {name}"));
    }
}

pub fn text(place: &Place) -> &str {
    place.address().to_str().unwrap()
}

pub fn schema(place: &Place) -> &str {
    text(place).rsplit_once("schema=").unwrap().1
}

#[test]
fn a_reader_with_select_inspects_everything_and_writes_nothing() {
    if !on_server() {
        return;
    }
    let (place, cli) = (Place::new(), Cli::new());
    let owner = [("HEAPLEDGER_DB", text(&place))];
    cli.ok(&["init", "--max-mem", "1MiB"], &owner);
    cli.file("a", &"some content\n".repeat(1000), 0o600);
    cli.file("b", "other", 0o600);
    let put = cli.ok(&["put", "a"], &owner);
    let id = put.split(' ').next().unwrap().to_owned();
    cli.ok(&["set", "answer", "42", "--reason", "first"], &owner);
    cli.ok(&["set", "answer", "43"], &owner);
    cli.ok(&["reserve", "10KiB", "--key", "k"], &owner);

    let role = Role::new(&place, "reader");
    let address = role.address();
    let reader = [("HEAPLEDGER_DB", address.as_str())];
    let refused = cli.fails(&["ls"], &reader);
    assert!(
        refused.contains("may not use the schema") && refused.contains("USAGE"),
        "{refused}"
    );
    place
        .sql()
        .execute(&format!("GRANT USAGE ON SCHEMA {} TO {}", schema(&place), role.name));
    assert!(cli.fails(&["ls"], &reader).contains("may not read \"arenas\""));
    role.may_read();

    for args in [
        &["ls"][..],
        &["ls", "--reservations"],
        &["get", "answer"],
        &["show", "answer"],
        &["show", &id],
        &["ledger"],
        &["tree"],
        &["block", "1"],
        &["layout", "--digest"],
        &["layout", "--at", "@1"],
        &["log"],
        &["usage"],
        &["usage", "--over-time"],
        &["diff", "@1"],
        &["history"],
        &["stats", "--format", "json"],
        &["plan", "1KiB"],
        &["sparse"],
        &["check"],
        &["spaces"],
        &["put", "--dry-run", "b"],
        &["export", "exported"],
    ] {
        let theirs = cli.run(args, &reader);
        let _ = std::fs::remove_dir_all(cli.path("exported"));
        assert_eq!(theirs, cli.run(args, &owner), "{args:?}");
        let _ = std::fs::remove_dir_all(cli.path("exported"));
        assert_eq!(theirs.0, 0, "{args:?}: {}", theirs.2);
    }
    // These show the size of everything on the server, which is not constant.
    for args in [&["doctor"][..], &["space"], &["stats"]] {
        cli.ok(args, &reader);
    }

    let before = cli.ok(&["log", "--format", "json"], &owner);
    for args in [
        &["put", "b"][..],
        &["set", "x", "1"],
        &["name", &id, "other"],
        &["unname", "answer"],
        &["free", &id],
        // They are rehearsed as a write that is rolled back.
        &["free", "--dry-run", &id],
        &["gc", "--dry-run"],
        &["release", &id],
        &["reserve", "1KiB", "--key", "l"],
        &["post", "k", "b"],
        &["void", "k"],
        &["gc"],
        &["resize", "2MiB"],
        &["add", "arena"],
        &["history", "off"],
        &["--space", "other", "init"],
        &["--space", "other", "put", "--create", "b"],
    ] {
        let refused = cli.fails(args, &reader);
        assert!(
            refused.contains("may not write to \"") && refused.contains(&role.name),
            "{args:?}: {refused}"
        );
    }
    assert_eq!(cli.ok(&["log", "--format", "json"], &owner), before);

    let memory = MemManager::options().read_only(true).open(&address).unwrap();
    assert_eq!(memory.get_by_name::<i64>("answer").unwrap(), Some(43));
    assert!(matches!(memory.set("answer", &1), Err(Error::ReadOnly)));
    let refused = MemManager::open(&address).map(drop).unwrap_err();
    assert!(
        matches!(refused, Error::Server(ServerError::NotAllowed { .. })),
        "{refused}"
    );
    place.sql().execute(&format!(
        "GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {} TO {}",
        schema(&place),
        role.name
    ));
    MemManager::open(&address).unwrap().set("answer", &44).unwrap();
    assert_eq!(cli.ok(&["get", "answer"], &owner), "44");
}

#[test]
fn creating_a_heap_needs_the_privilege_or_an_empty_schema() {
    if !on_server() {
        return;
    }
    let (place, cli) = (Place::new(), Cli::new());
    let role = Role::new(&place, "owner");
    let address = role.address();
    let owner = [("HEAPLEDGER_DB", address.as_str())];
    let refused = cli.fails(&["init"], &owner);
    assert!(refused.contains("may not create the schema"), "{refused}");
    assert!(!place.has_heap());
    let schema = schema(&place);
    place.sql().execute(&format!(
        "CREATE SCHEMA {schema}; GRANT USAGE ON SCHEMA {schema} TO {}",
        role.name
    ));
    let refused = cli.fails(&["init"], &owner);
    assert!(refused.contains("may not create tables in the schema"), "{refused}");
    place
        .sql()
        .execute(&format!("ALTER SCHEMA {schema} OWNER TO {}", role.name));
    cli.ok(&["init"], &owner);
    cli.ok(&["set", "answer", "42"], &owner);
    // A member of the role is as good as it.
    let member = Role::new(&place, "member");
    place.sql().execute(&format!("GRANT {} TO {}", role.name, member.name));
    cli.ok(&["set", "answer", "43"], &[("HEAPLEDGER_DB", &member.address())]);
    assert_eq!(cli.ok(&["get", "answer"], &owner), "43");
}
