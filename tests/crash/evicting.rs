//! A full cache is killed while it evicts. What was stored last is there, what is pinned is never lost, and nothing
//! is evicted by half.

use std::time::Duration;

use heapledger::{EventFilter, EventKind, History, Hold, ObjectId, Policy};

use crate::common::{Place, assert_balanced, content, quick};
use crate::harness::{Random, again, given, given_number, output_file, said, say};
use crate::kills;

const CAPACITY: u64 = 256 * 1024;
const POLICIES: [Policy; 5] = Policy::ALL;
const PINNED: u64 = 4;

/// The content of an operation, of which many are the same.
fn bytes(number: u64) -> Vec<u8> {
    let seed = PINNED + Random(number).below(400);
    content(seed, 300 + seed * 37 % 9_000)
}

#[test]
#[ignore = "the child process that the other test kills"]
fn evicter() {
    let Some(path) = given("HEAPLEDGER_PATH") else {
        return;
    };
    let memory = quick().open(path).unwrap();
    for number in given_number("HEAPLEDGER_FIRST").. {
        let content = bytes(number);
        if memory.get_bytes(&ObjectId::of_bytes(&content)).is_err() {
            let name = format!("entry {}", Random(number).below(400));
            memory.store_bytes(&content, Hold::Name(&name)).unwrap();
        }
        say(&format!("done {number}"));
    }
}

#[test]
fn a_cache_that_is_killed_while_it_evicts_is_whole() {
    let mut random = Random(11);
    let (mut evicted, all) = (0, kills(15));
    for round in 0..all {
        let place = Place::new();
        let policy = POLICIES[round as usize % POLICIES.len()];
        let options = quick().max_mem(CAPACITY).evict(policy).history(History::On);
        let memory = options.open(place.address()).unwrap();
        let pinned: Vec<_> = (0..PINNED)
            .map(|seed| memory.allocate_bytes(&content(seed, 9_500)).unwrap())
            .collect();
        for id in &pinned {
            memory.pin(id).unwrap();
        }
        drop(memory);
        let output = place.folder().join("said");
        let mut child = again("evicting::evicter")
            .env("HEAPLEDGER_PATH", place.address())
            .env("HEAPLEDGER_FIRST", (round << 24).to_string())
            .stdout(output_file(&output))
            .spawn()
            .unwrap();
        // By then it is full.
        while said(&output).len() < 80 {
            assert!(child.try_wait().unwrap().is_none(), "it has failed");
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(random.below(60)));
        child.kill().unwrap();
        child.wait().unwrap();
        place.wait_for_the_dead();

        let memory = quick().open(place.address()).unwrap();
        assert_balanced(&memory);
        let last = said(&output)
            .into_iter()
            .rev()
            .find_map(|line| line.strip_prefix("done ")?.parse().ok());
        let last = bytes(last.unwrap());
        // Of the largest, the last one may have gone for the one in progress.
        if policy == Policy::Lru {
            assert_eq!(memory.get_bytes(&ObjectId::of_bytes(&last)).unwrap(), last);
        }
        for (seed, id) in (0..PINNED).zip(&pinned) {
            assert_eq!(memory.get_bytes(id).unwrap(), content(seed, 9_500));
        }
        for object in memory.objects() {
            memory.get_bytes(&object.unwrap().id).unwrap();
        }
        // Each eviction is complete: what went was counted, and is gone or was stored again.
        let events = memory.events(EventFilter::default().kinds([EventKind::Evict])).count() as u64;
        let space = memory.memram().unwrap();
        assert_eq!((space.evictions, space.mem <= CAPACITY), (events, true));
        evicted += events;
        // It goes on as if nothing had happened.
        memory.store_bytes(&content(999, 60_000), Hold::Anonymous).unwrap();
        assert_balanced(&memory);
    }
    assert!(evicted > all, "{evicted} evictions");
}
