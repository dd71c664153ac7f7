//! The doctor explains its findings in sentences that follow from the figures they show.

use std::collections::BTreeMap;

use crate::common::{Heap, KIB, MIB, content, files_only};
use heapledger::{Figure, Finding, Geometry, History, Hold, MemManager, Remedy, Severity};

fn codes(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|finding| finding.code).collect()
}

fn find<'f>(findings: &'f [Finding], code: &str) -> &'f Finding {
    let found = findings.iter().find(|finding| finding.code == code);
    found.unwrap_or_else(|| panic!("no {code} in {findings:#?}"))
}

/// Checks that every number in a sentence is one of its figures, and that every figure
/// agrees with `stats`.
fn examine(memory: &MemManager) -> Vec<Finding> {
    let findings = memory.doctor().unwrap();
    let stats = memory.stats().unwrap();
    let known: BTreeMap<&str, u64> = [
        ("mem", stats.mem),
        ("max_mem", stats.max_mem),
        ("available", stats.available),
        ("objects", stats.objects),
        ("entries", stats.entries),
        ("file_size", stats.file_size),
        ("free_file_bytes", stats.free_file_bytes),
        ("wal_size", stats.wal_size),
        ("peak_mem", stats.peak_mem),
        ("unreserved", stats.max_mem - stats.reserved),
    ]
    .into();
    for finding in &findings {
        let mut rest = finding.sentence.clone();
        let mut figures: Vec<_> = finding.figures.values().map(ToString::to_string).collect();
        figures.sort_by_key(|figure| std::cmp::Reverse(figure.len()));
        for figure in figures {
            rest = rest.replace(&figure, "");
        }
        assert!(
            !rest.contains(|character: char| character.is_ascii_digit()),
            "{finding}: {rest}"
        );
        assert!(!rest.contains('{'), "{finding}");
        for (name, figure) in &finding.figures {
            if finding.code != "sparse_blocks"
                && let Some(&known) = known.get(name)
            {
                let matches = matches!(figure, Figure::Bytes(found) | Figure::Count(found) if *found == known);
                assert!(matches, "{name} is {known}: {finding}");
            }
        }
        assert!(
            finding.severity != Severity::Action || !finding.remedy.is_empty(),
            "{finding}"
        );
        for call in &finding.remedy {
            assert!(call.to_string().starts_with("MemManager::"), "{call}");
        }
    }
    let action = findings.iter().any(|finding| finding.severity == Severity::Action);
    assert_ne!(
        action,
        findings.iter().any(|finding| finding.code == "healthy"),
        "{findings:#?}"
    );
    findings
}

#[test]
fn a_healthy_heap_is_reported_with_its_figures() {
    let heap = Heap::new();
    assert_eq!(codes(&examine(&heap)), ["healthy"]);
    for seed in 0..50 {
        heap.allocate_bytes(&content(seed, 4000 + seed)).unwrap();
    }
    let findings = examine(&heap);
    assert_eq!(codes(&findings), ["healthy"]);
    assert_eq!(findings[0].severity, Severity::Fine);
    assert_eq!(findings[0].figures["objects"], Figure::Count(50));
}

#[test]
fn a_full_heap_lists_what_could_be_freed() {
    let heap = Heap::new();
    let large = heap.allocate_bytes(&content(1, 700 * KIB)).unwrap();
    heap.store_bytes(&content(2, 250 * KIB), Hold::Name("kept")).unwrap();
    let findings = examine(&heap);
    let full = find(&findings, "nearly_full");
    assert_eq!(full.severity, Severity::Action);
    assert_eq!(full.figures["unnamed_objects"], Figure::Count(1));
    assert_eq!(full.figures["unnamed_mem"], Figure::Bytes(700 * KIB));
    assert_eq!(full.figures["largest_object_id"], Figure::Id(large));
    assert_eq!(full.remedy, [Remedy::PlanFree(large), Remedy::Resize(2 * MIB)]);
    // Its advice helps.
    heap.resize(2 * MIB).unwrap();
    assert_eq!(codes(&examine(&heap)), ["healthy"]);
}

#[test]
fn a_heap_full_of_small_objects_is_explained_too() {
    let heap = Heap::of(64 * KIB, Geometry::classic());
    heap.batch(|batch| (0..120).try_for_each(|seed| batch.allocate_bytes(&content(seed, 512)).map(drop)))
        .unwrap();
    let findings = examine(&heap);
    assert_eq!(
        find(&findings, "nearly_full").figures["largest_size"],
        Figure::Bytes(512)
    );
}

#[test]
fn many_free_pages_are_worth_giving_back() {
    files_only!(File);
    let heap = Heap::of(16 * MIB, Geometry::standard());
    heap.allocate_bytes(&content(1, MIB)).unwrap();
    let large = heap.allocate_bytes(&content(2, 5 * MIB)).unwrap();
    heap.free(&large).unwrap();
    let findings = examine(&heap);
    let free = find(&findings, "free_pages");
    assert_eq!(free.remedy, [Remedy::CollectGarbage]);
    assert_eq!(free.figures["peak_mem"], Figure::Bytes(6 * MIB));
    assert_eq!(find(&findings, "garbage").severity, Severity::Note);
    // The collection is recorded too, on pages that had been free.
    let history = || {
        let trees = heap.space_report().unwrap().trees;
        let of_events = trees.iter().filter(|tree| tree.table == "events");
        of_events.map(|tree| tree.bytes).sum::<u64>()
    };
    let before = history();
    let collected = heap.collect_garbage().unwrap();
    let recorded = history() - before;
    let Figure::Bytes(promised) = free.figures["free_file_bytes"] else {
        panic!("no bytes")
    };
    assert!(collected.file_bytes >= promised - recorded);
    assert_eq!(heap.stats().unwrap().free_file_bytes, 0);
    assert_eq!(codes(&examine(&heap)), ["healthy"]);
}

#[test]
fn empty_arenas_ask_for_action_when_there_is_nothing_left_to_carve() {
    let heap = Heap::new();
    let large = heap.allocate_bytes(&content(1, MIB - 100 * KIB)).unwrap();
    heap.free(&large).unwrap();
    let findings = examine(&heap);
    let stuck = find(&findings, "nothing_to_carve");
    assert_eq!(stuck.severity, Severity::Action);
    assert_eq!(stuck.figures["empty_arena_bytes"], Figure::Bytes(MIB));
    assert_eq!(heap.collect_garbage().unwrap().bytes, MIB);
    assert_eq!(codes(&examine(&heap)), ["healthy"]);
}

#[test]
fn objects_in_many_gaps_are_scattered() {
    let heap = Heap::of(512 * KIB, Geometry::classic());
    // Every block is full except for ten bytes, and the whole space is carved.
    let fillers: Vec<_> = heap
        .batch(|batch| {
            (0..1024)
                .flat_map(|seed| [content(seed, 502), content(10_000 + seed, 10)])
                .map(|bytes| batch.allocate_bytes(&bytes))
                .collect::<Result<_, _>>()
        })
        .unwrap();
    heap.batch(|batch| {
        fillers
            .iter()
            .skip(1)
            .step_by(2)
            .try_for_each(|id| batch.free(id).map(drop))
    })
    .unwrap();
    for seed in 0..9 {
        heap.allocate_bytes(&content(20_000 + seed, 1000)).unwrap();
    }
    // A thousand whole objects outweigh nine of a hundred pieces.
    assert!(!codes(&examine(&heap)).contains(&"scattered"));
    heap.batch(|batch| fillers.iter().step_by(2).try_for_each(|id| batch.free(id).map(drop)))
        .unwrap();
    let findings = examine(&heap);
    let scattered = find(&findings, "scattered");
    assert_eq!(scattered.severity, Severity::Note);
    assert_eq!(scattered.figures["entries"], Figure::Count(900));
    assert_eq!(scattered.figures["fewest_pieces"], Figure::Count(18));
}

#[test]
fn blocks_that_are_mostly_room_point_to_what_keeps_them() {
    let heap = Heap::of(16 * MIB, Geometry::standard());
    let ids: Vec<_> = (0..160)
        .map(|seed| heap.allocate_bytes(&content(seed, 32 * KIB)).unwrap())
        .collect();
    for (index, id) in ids.iter().enumerate() {
        if index % 8 != 0 {
            heap.free(id).unwrap();
        }
    }
    let findings = examine(&heap);
    let sparse = find(&findings, "sparse_blocks");
    assert_eq!(sparse.figures["block_size"], Figure::Bytes(256 * KIB));
    assert_eq!(sparse.figures["nearly_empty_arenas"], Figure::Count(20));
    assert_eq!(sparse.remedy, [Remedy::Sparse, Remedy::Compact]);
    assert_eq!(heap.sparse(None).unwrap().len(), 20);
}

#[test]
fn tiny_objects_make_a_large_file() {
    files_only!(File);
    let heap = Heap::of(16 * MIB, Geometry::standard());
    heap.batch(|batch| (0..20_000).try_for_each(|seed| batch.allocate_bytes(&content(seed, 16)).map(drop)))
        .unwrap();
    let findings = examine(&heap);
    assert_eq!(find(&findings, "large_file").remedy, [Remedy::SpaceReport]);
    assert_eq!(find(&findings, "healthy").severity, Severity::Fine);
}

#[test]
fn json_has_stable_keys_and_plain_numbers() {
    let heap = Heap::new();
    heap.allocate_bytes(&content(1, MIB)).unwrap();
    let json = serde_json::to_value(heap.doctor().unwrap()).unwrap();
    assert_eq!(json[0]["code"], "nearly_full");
    assert_eq!(json[0]["severity"], "action");
    assert_eq!(json[0]["figures"]["mem"], MIB);
    assert_eq!(json[0]["figures"]["used"], 1.0);
    assert!(json[0]["sentence"].is_string() && json[0]["remedy"].is_array());
}

#[test]
fn a_large_history_without_a_limit_is_noted() {
    files_only!(File);
    let heap = Heap::new();
    heap.set_history(History::On).unwrap();
    let renamed = heap.batch(|batch| {
        let id = batch.allocate_bytes(b"it")?;
        (0..12_000).try_for_each(|number| batch.bind(&format!("name {number}"), &id).map(drop))
    });
    renamed.unwrap();
    let noted = |heap: &Heap| {
        let findings = heap.doctor().unwrap();
        findings.into_iter().find(|finding| finding.code == "large_history")
    };
    assert_eq!(noted(&heap).unwrap().remedy, [Remedy::LimitHistory(MIB)]);
    heap.set_history(History::keep_bytes(MIB)).unwrap();
    assert!(noted(&heap).is_none());
}
