//! I13: an object expires with the last of its holds.

use heapledger::{Hold, Invariant};

use crate::common::{Heap, number};
use crate::{Clock, HOUR, assert_repaired};

#[test]
fn i13_an_object_expires_with_its_last_hold() {
    let _clock = Clock::take();
    let heap = Heap::new();
    heap.store("named", Hold::Name("a").expires_in(HOUR)).unwrap();
    heap.store("named", Hold::Name("b").expires_in(2 * HOUR)).unwrap();
    heap.store("held", Hold::Anonymous.expires_in(HOUR)).unwrap();
    heap.allocate("kept").unwrap();
    let wrong = [
        "UPDATE stored_objects SET expires_at = NULL WHERE id = 1",
        "UPDATE stored_objects SET expires_at = 5 WHERE id = 1",
        "UPDATE names SET expires_at = expires_at + 1 WHERE name = 'b'",
        "UPDATE names SET expires_at = NULL WHERE name = 'a'",
        "UPDATE stored_objects SET held_until = NULL WHERE held_until IS NOT NULL",
        "UPDATE stored_objects SET expires_at = 5 WHERE held = TRUE",
    ];
    for statement in wrong {
        assert_repaired(&heap, statement, Invariant::I13);
    }
    let ends = "SELECT count(*) FROM stored_objects WHERE expires_at IS NOT NULL";
    assert_eq!(number(&heap.sql(), ends), 0, "b ends, but a does not");
}
