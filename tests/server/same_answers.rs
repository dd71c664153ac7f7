//! What reads a heap, to compare the answers of two engines.

// Test helpers may panic too; clippy.toml exempts only functions marked #[test].
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fmt::Debug;
use std::io::{Read, Seek, SeekFrom};

use fastrand::Rng;
use heapledger::{CheckOptions, EventFilter, EventKind, MemManager, Moment, ObjectId, Result};

/// The answers of two heaps to each call that reads, without times, and without what depends on the
/// bytes on disk. How many events share a row depends on how much an engine writes at once, and so does the
/// size of the history: where that has made them forget different events, the history is not compared.
pub fn assert_same_answers(heaps: [&MemManager; 2], seed: u64) {
    let kept = heaps.map(|heap| {
        heap.events(EventFilter::default())
            .next()
            .map(|event| event.unwrap().id)
    });
    let [server, file] = heaps.map(|heap| answers(heap, seed, kept[0] == kept[1]));
    assert_eq!(server.len(), file.len());
    for (answer, expected) in server.iter().zip(&file) {
        assert_eq!(answer, expected, "seed {seed}");
    }
}

fn answers(memory: &MemManager, seed: u64, with_history: bool) -> Vec<(&'static str, String)> {
    let random = &mut Rng::with_seed(seed);
    let objects: Vec<_> = memory.objects().map(Result::unwrap).collect();
    let ids: Vec<_> = objects.iter().map(|object| object.id).collect();
    let some: Vec<_> = (0..8).filter_map(|_| random.choice(&ids).copied()).collect();
    let mut said = vec![
        ("objects", shown(&objects)),
        (
            "entries",
            shown(memory.entries().map(Result::unwrap).collect::<Vec<_>>()),
        ),
        ("memram", shown(memory.memram().unwrap())),
        ("spaces", shown(memory.spaces().unwrap())),
        ("usage", shown(memory.usage().unwrap())),
        ("trial balance", shown(memory.trial_balance().unwrap())),
        ("claims", shown(memory.claims().unwrap())),
        (
            "check",
            shown(memory.check_with(CheckOptions::default(), &mut |_, _, _| {}).unwrap()),
        ),
        ("check notes", shown(memory.check_notes().unwrap())),
        ("sparse", shown(memory.sparse(None).unwrap())),
        ("reservations", shown(memory.reservations().unwrap())),
        ("doctor", shown(codes(memory))),
        (
            "stats",
            shown(memory.stats().unwrap())
                .split(", file_size")
                .next()
                .unwrap()
                .to_owned(),
        ),
        ("plan", shown(memory.plan_allocation(random.u64(..300_000)).unwrap())),
        (
            "plan free",
            shown(
                memory
                    .plan_free(&some)
                    .map(|plan| (plan.size, plan.sparse, plan.collected.blocks, plan.collected.bytes)),
            ),
        ),
    ];
    said.extend(levels(memory));
    if with_history {
        said.extend(history(memory, random, &some));
    }
    for id in some {
        said.push(("object", shown(memory.object_info(&id).unwrap())));
        said.push(("ledger", shown(memory.ledger(&id).unwrap())));
        said.push(("names", shown(memory.names(&id).unwrap())));
        said.push((
            "find",
            shown(
                memory
                    .find(&id.to_hex()[..random.usize(5..12)])
                    .map_err(|error| error.to_string()),
            ),
        ));
        said.push(("find ever", shown(memory.find_ever(&id.to_hex()[..8]))));
        assert_eq!(
            ObjectId::of_bytes(&content(memory, &id, random)),
            ObjectId::of_bytes(&memory.get_bytes(&id).unwrap())
        );
        said.push(("bytes", shown(ObjectId::of_bytes(&memory.get_bytes(&id).unwrap()))));
    }
    for name in 0..6 {
        let name = format!("name {name}");
        said.push(("resolve", shown(memory.resolve(&name).unwrap())));
        let value = memory.get_bytes_by_name(&name).unwrap();
        said.push(("value", shown(value.map(|bytes| ObjectId::of_bytes(&bytes)))));
    }
    said
}

/// The codes of the findings, except those that depend on the bytes on disk.
fn codes(memory: &MemManager) -> Vec<&'static str> {
    let codes = memory.doctor().unwrap().into_iter().map(|finding| finding.code);
    codes
        .filter(|code| !["free_pages", "large_file", "large_history", "healthy"].contains(code))
        .collect()
}

fn levels(memory: &MemManager) -> Vec<(&'static str, String)> {
    let mut said = Vec::new();
    for arena in memory.arenas().unwrap() {
        said.push(("arena", shown(arena)));
        said.push(("objects in an arena", shown(memory.sparse(Some(arena.id)).unwrap())));
        for pool in memory.pools(arena.id).unwrap() {
            let blocks = memory.blocks(pool.id).unwrap();
            said.push(("pool", shown((&pool, &blocks))));
            if let Some(block) = blocks.first() {
                said.push(("pieces", shown(memory.pieces_in(block.id).unwrap())));
            }
        }
    }
    said
}

fn history(memory: &MemManager, random: &mut Rng, ids: &[ObjectId]) -> Vec<(&'static str, String)> {
    let events: Vec<_> = memory.events(EventFilter::default()).map(Result::unwrap).collect();
    let mut said = vec![("events", shown(&events))];
    let filters = ids.iter().map(|id| EventFilter::default().object(*id));
    let kinds = [EventKind::Free, EventKind::Bind];
    for filter in filters.chain([EventFilter::default().kinds(kinds)]) {
        said.push((
            "some events",
            shown(memory.events(filter.clone()).map(Result::unwrap).collect::<Vec<_>>()),
        ));
        said.push(("newest events", shown(memory.newest_events(&filter, 3).unwrap())));
    }
    if let (Some(event), Some(last)) = (random.choice(&events), events.last()) {
        let (then, now) = (Moment::Event(event.id), Moment::Event(last.id));
        said.push(("layout", shown(told(memory.layout_at(then)))));
        said.push(("diff", shown(told(memory.diff(then, now)))));
        let next = EventFilter::default().after(event.id);
        said.push((
            "later events",
            shown(memory.events(next).map(Result::unwrap).collect::<Vec<_>>()),
        ));
    }
    said
}

fn told<T: Debug>(result: Result<T>) -> std::result::Result<T, String> {
    result.map_err(|error| error.to_string())
}

/// The content through a reader, which skips some of it and comes back.
fn content(memory: &MemManager, id: &ObjectId, random: &mut Rng) -> Vec<u8> {
    let mut reader = memory.reader(id).unwrap();
    let middle = random.u64(..=reader.size());
    let (mut start, mut end) = (vec![0; middle as usize], Vec::new());
    reader.seek(SeekFrom::Start(middle)).unwrap();
    reader.read_to_end(&mut end).unwrap();
    reader.rewind().unwrap();
    reader.read_exact(&mut start).unwrap();
    [start, end].concat()
}

/// As text, without times and sizes of the history, which come after these words.
fn shown(value: impl Debug) -> String {
    let mut shown = format!("{value:?}");
    for word in ["Timestamp(", "history_bytes: "] {
        let mut parts = shown.split(word);
        let first = parts.next().unwrap_or_default().to_owned();
        shown = parts.fold(first, |text, part| {
            text + word + part.trim_start_matches(|c: char| c.is_ascii_digit())
        });
    }
    shown
}
