//! Records the statements that the library sends to SQLite, through Diesel's instrumentation,
//! and explains their query plans.

use std::cell::RefCell;
use std::collections::BTreeSet;

use diesel::connection::{Instrumentation, InstrumentationEvent, set_default_instrumentation};
use heapledger::MemManager;

use crate::common::{Heap, plan};

thread_local! {
    /// What this thread has sent. The spy is process-wide, and the tests are threads.
    static SENT: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

struct Spy;

impl Instrumentation for Spy {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        if let InstrumentationEvent::StartQuery { query, .. } = event {
            SENT.with_borrow_mut(|sent| {
                if let Some(sent) = sent {
                    sent.push(query.to_string());
                }
            });
        }
    }
}

/// The plans of all statements that `run` sends through a newly opened manager, each as
/// `VERB: STEP; STEP`.
///
/// # Panics
/// If a plan scans a whole table or index.
#[track_caller]
pub fn plans<T>(heap: &Heap, run: impl FnOnce(&MemManager) -> T) -> BTreeSet<String> {
    // Affects connections opened from now on.
    set_default_instrumentation(|| Some(Box::new(Spy))).unwrap();
    let memory = heap.open_again();
    SENT.set(Some(Vec::new()));
    run(&memory);
    let sent = SENT.take().unwrap();
    let sql = heap.sql();
    let mut plans = BTreeSet::new();
    for statement in &sent {
        let text = statement
            .rsplit_once(" -- binds: ")
            .map_or(&**statement, |(text, _)| text);
        let verb = text.split_whitespace().next().unwrap_or_default();
        // The others, such as BEGIN, have no plan.
        if ["SELECT", "WITH", "INSERT", "UPDATE", "DELETE"].contains(&verb) {
            let plan = plan(&sql, text);
            assert!(!walks(&plan), "{text}\n{plan}");
            plans.insert(format!("{verb}: {plan}"));
        }
    }
    plans
}

/// Whether a step scans all rows of a table. Scans of subquery results, of the rows of an
/// INSERT, of a list and of a pragma are fine, and so are those of the spaces of a file, which are few.
fn walks(plan: &str) -> bool {
    let is_walk = |step: &str| {
        let Some(what) = step.strip_prefix("SCAN ") else {
            return false;
        };
        let name = what.split(' ').next().unwrap_or_default();
        let is_subquery = ["CO-ROUTINE", "MATERIALIZE"]
            .iter()
            .any(|makes| plan.split("; ").any(|step| step == format!("{makes} {name}")));
        let is_given = what.ends_with("-ROW VALUES CLAUSE") || what.contains(" VIRTUAL TABLE ");
        !is_subquery && name != "memram" && !is_given
    };
    plan.split("; ").any(is_walk)
}

#[test]
fn scans_are_distinguished_from_searches() {
    for walk in [
        "SCAN blocks",
        "SEARCH a USING INDEX b (c=?); SCAN o",
        "SCAN l USING COVERING INDEX ledger_by_block",
    ] {
        assert!(walks(walk), "{walk}");
    }
    for search in [
        "SEARCH blocks USING INTEGER PRIMARY KEY (rowid=?)",
        "CO-ROUTINE n; SEARCH names USING COVERING INDEX names_by_object (stored_object_id=?); SCAN n",
        "SCAN 64-ROW VALUES CLAUSE",
        "SCAN pragma_page_size VIRTUAL TABLE INDEX 0:",
    ] {
        assert!(!walks(search), "{search}");
    }
}
