//! A process is killed while it applies a plan. Whoever applies the plan again does the rest, and nothing
//! twice.

use std::time::Duration;

use heapledger::{CompactOptions, EventFilter, EventKind, MemManager, ObjectId, Work, WorkPlan};

use crate::common::{Place, assert_balanced, content, quick, server};
use crate::harness::{Random, again, given, output_file, said, say};
use crate::kills;

/// Objects, of which one out of nine is kept.
const OBJECTS: u64 = 36_000;

#[test]
#[ignore = "the child process that the other test kills"]
fn applier() {
    let (Some(path), Some(plan)) = (given("HEAPLEDGER_PATH"), given("HEAPLEDGER_PLAN")) else {
        return;
    };
    let memory = quick().open(path).unwrap();
    let plan = WorkPlan::from_json(&std::fs::read(plan).unwrap()).unwrap();
    say("begun");
    let applied = memory.apply(&plan).unwrap();
    say(&format!("done {}", applied.done_before));
}

#[test]
fn a_plan_whose_process_was_killed_is_applied_to_its_end() {
    let mut random = Random(5);
    let mut killed = 0;
    let mut round = 0;
    while killed < kills(12) {
        let place = Place::new();
        let (memory, ids) = sparse(&place);
        let work = match round % 2 {
            0 => Work::Compact(CompactOptions::default().join(true)),
            _ => Work::Free(ids.iter().map(|(_, id)| *id).collect()),
        };
        let plan = memory.plan_work(&work).unwrap();
        assert!(plan.slices.len() > 2, "{} slices", plan.slices.len());
        drop(memory);
        killed += apply(&place, &plan, &mut random);
        let memory = quick().open(place.address()).unwrap();
        assert_balanced(&memory);
        let left = memory.memram().unwrap();
        assert_eq!(left.reserved, reserved_before() - plan.totals.bytes);
        for (seed, id) in &ids {
            let kept = matches!(work, Work::Compact(_)).then(|| content(*seed, 400));
            assert_eq!(memory.get_bytes(id).ok(), kept);
        }
        let mut filter = EventFilter::default();
        filter.kinds = vec![EventKind::Apply];
        assert_eq!(memory.events(filter).count(), plan.slices.len());
        round += 1;
    }
    println!("{killed} kills in {round} plans");
}

/// A heap of nearly empty arenas, and what is left in it.
fn sparse(place: &Place) -> (MemManager, Vec<(u64, ObjectId)>) {
    let memory = quick().max_mem(64 << 20).open(place.address()).unwrap();
    let ids = memory.batch(|batch| {
        (0..OBJECTS)
            .map(|seed| batch.allocate_bytes(&content(seed, 400)))
            .collect()
    });
    let ids: Vec<ObjectId> = ids.unwrap();
    let (kept, gone): (Vec<_>, Vec<_>) = (0..).zip(ids).partition(|(seed, _)| seed % 9 == 0);
    let freed = memory.batch(|batch| gone.iter().try_for_each(|(_, id)| batch.free(id).map(drop)));
    freed.unwrap();
    assert_eq!(memory.memram().unwrap().reserved, reserved_before());
    (memory, kept)
}

/// Bytes of the arenas that all objects need.
fn reserved_before() -> u64 {
    (OBJECTS * 400).next_multiple_of(256 << 10)
}

/// Kills a process that applies the plan, again and again, until one comes to its end. Returns the kills.
fn apply(place: &Place, plan: &WorkPlan, random: &mut Random) -> u64 {
    let file = place.folder().join("p.json");
    std::fs::write(&file, plan.to_json()).unwrap();
    let output = place.folder().join("said");
    // Long enough for a slice or two, and longer each time, so that one comes to its end.
    for kills in 0.. {
        let mut command = again("plans::applier");
        command
            .env("HEAPLEDGER_PATH", place.address())
            .env("HEAPLEDGER_PLAN", &file)
            .stdout(output_file(&output));
        let mut child = command.spawn().unwrap();
        while said(&output).is_empty() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let slow = if server().is_some() { 20 } else { 6 };
        std::thread::sleep(Duration::from_millis(random.below(20) + slow * kills));
        let _ = child.kill();
        let status = child.wait().unwrap();
        place.wait_for_the_dead();
        if said(&output).iter().any(|line| line.starts_with("done")) {
            return kills;
        }
        assert!(!status.success(), "it has not come to its end");
    }
    unreachable!("a process has all the time that it needs, at some point")
}
