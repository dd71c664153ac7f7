//! Guards against these failures: threads and processes of the same owners write at once, or are killed, and an
//! owner has more than it may, is refused what it may have, or what is used of a quota is wrong.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use heapledger::{Error, Hold, MemManager, QuotaLimits};

use super::{limit, used};
use crate::common::{Heap, Place, assert_balanced, number, options, quick};
use crate::harness::{Random, Talk, again, given, given_number, say};

const OWNERS: [&str; 2] = ["ann", "bob"];
/// All contents have the same size, so who is refused must have all of its quota.
const SIZE: usize = 100;
const MOST: u64 = 10;

fn limit_both(heap: &MemManager) {
    for owner in OWNERS {
        limit(heap, owner, MOST * SIZE as u64);
    }
}

/// One of a few contents, so that owners share some.
fn some(random: &mut Random) -> Vec<u8> {
    let number = random.below(40) as u8;
    vec![number; SIZE]
}

/// Stores and lets go at random, for one owner. Returns how often it was refused.
fn work(memory: &MemManager, writer: u64, steps: u64) -> u64 {
    let mut random = Random(writer);
    let owner = OWNERS[writer as usize % 2];
    let mut refused = 0;
    for _ in 0..steps {
        let name = format!("{writer} {}", random.below(8));
        let content = some(&mut random);
        let done = match random.below(6) {
            0 => match memory.unbind(&name) {
                Err(Error::UnknownName { .. }) => Ok(()),
                unbound => unbound.map(drop),
            },
            1 => memory.batch(|batch| {
                let hold = Hold::Anonymous.tag("owner", owner);
                let id = batch.store_bytes(&content, hold)?.id;
                batch.release(&id).map(drop)
            }),
            2 => match memory.tag(&name, "owner", owner) {
                Err(Error::UnknownName { .. }) => Ok(()),
                tagged => tagged,
            },
            3 => memory.store_bytes(&content, Hold::Name(&name)).map(drop),
            _ => memory
                .store_bytes(&content, Hold::Name(&name).tag("owner", owner))
                .map(drop),
        };
        match done {
            Err(Error::QuotaExceeded(over)) => {
                assert_eq!(
                    (over.value.as_str(), over.used),
                    (owner, over.hard),
                    "refused although it is not full"
                );
                refused += 1;
            }
            done => done.unwrap(),
        }
    }
    refused
}

/// What an owner has, according to the rows of its tags.
const OWNED: &str = "SELECT coalesce(max(bytes), 0) FROM (SELECT t.value, sum(o.size) AS bytes FROM stored_objects o \
    JOIN (SELECT DISTINCT value, stored_object_id FROM tags WHERE key = 'owner') t ON t.stored_object_id = o.id \
    GROUP BY t.value) owned";

#[test]
fn threads_of_two_owners_never_exceed_and_are_refused_only_when_they_are_full() {
    let heap = Heap::new();
    limit_both(&heap);
    let is_done = AtomicBool::new(false);
    let refused = thread::scope(|scope| {
        let writers: Vec<_> = (0..8)
            .map(|writer| {
                // Half of them share the writer of a manager, and so commits.
                let memory = if writer < 4 { heap.clone() } else { heap.open_again() };
                scope.spawn(move || work(&memory, writer, 60))
            })
            .collect();
        let (heap, is_done) = (&heap, &is_done);
        let reader = scope.spawn(move || {
            while !is_done.load(Ordering::Relaxed) {
                for usage in heap.quotas().unwrap() {
                    assert!(
                        Some(usage.quota.used_bytes) <= usage.quota.limits.hard_bytes,
                        "{usage:?}"
                    );
                }
                assert!(number(&heap.sql(), OWNED) <= (MOST * SIZE as u64) as i64);
            }
        });
        let refused: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
        is_done.store(true, Ordering::Relaxed);
        reader.join().unwrap();
        refused.into_iter().map(|refused| refused.unwrap()).sum::<u64>()
    });
    assert!(refused > 0, "nobody was ever full");
    assert_balanced(&heap);
}

#[test]
#[ignore = "the child process that the other tests start"]
fn child() {
    let Some(path) = given("HEAPLEDGER_PATH") else { return };
    let memory = options().busy_timeout(Duration::from_secs(60)).open(path).unwrap();
    let writer = given_number("HEAPLEDGER_WRITER");
    say("working");
    if given("HEAPLEDGER_FOREVER").is_some() {
        for round in 0.. {
            work(&memory, writer + 8 * round, 20);
        }
    }
    say(&format!("refused {}", work(&memory, writer, 40)));
}

fn start(place: &Place, writer: u64, forever: bool) -> Talk {
    let mut command = again("quotas::concurrent::child");
    command.env("HEAPLEDGER_PATH", place.address());
    command.env("HEAPLEDGER_WRITER", writer.to_string());
    if forever {
        command.env("HEAPLEDGER_FOREVER", "1");
    }
    Talk::start(command)
}

#[test]
fn processes_of_two_owners_never_exceed_and_are_refused_only_when_they_are_full() {
    let heap = Heap::new();
    limit_both(&heap);
    let children: Vec<_> = (0..8).map(|writer| start(heap.place(), writer, false)).collect();
    let mut refused = 0;
    for mut child in children {
        refused += child.hear("refused").unwrap().parse::<u64>().unwrap();
        assert!(child.end());
        for owner in OWNERS {
            assert!(used(&heap, owner).0 <= MOST * SIZE as u64);
        }
    }
    assert!(refused > 0, "nobody was ever full");
    assert_balanced(&heap);
}

#[test]
fn quotas_hold_after_every_kill() {
    let place = Place::new();
    limit_both(&quick().open(place.address()).unwrap());
    let mut random = Random(7);
    for round in 0..8 {
        let mut children: Vec<_> = (0..2).map(|writer| start(&place, writer + 2 * round, true)).collect();
        children
            .iter_mut()
            .for_each(|child| drop(child.hear("working").unwrap()));
        thread::sleep(Duration::from_millis(20 + random.below(60)));
        children.iter_mut().for_each(Talk::kill);
        place.wait_for_the_dead();
        let heap = quick().open(place.address()).unwrap();
        // I15, among others.
        assert_balanced(&heap);
        for owner in OWNERS {
            assert!(used(&heap, owner).0 <= MOST * SIZE as u64);
        }
        // Counting it again gives the same.
        heap.set_quota("owner", "ann", QuotaLimits::none().hard_bytes(MOST * SIZE as u64))
            .unwrap();
        assert_balanced(&heap);
    }
}
