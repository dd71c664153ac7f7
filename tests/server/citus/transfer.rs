//! Tars of heaps and of trees, to Citus and back.

// Test helpers may panic too; clippy.toml exempts only functions marked #[test].
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use heapledger::{Hold, ImportOptions, MemManager, ObjectId, SaveTreeOptions, StoreTarOptions, TarStream};
use tempfile::tempdir;

use super::cluster::Cluster;
use crate::common::{KIB, MIB, assert_balanced, content, quick};

/// Objects of several kinds and sizes with names, tags and times, and some that were there before them.
fn fill(memory: &MemManager) {
    let day = Duration::from_secs(24 * 60 * 60);
    let gone = memory.allocate_bytes(&content(9, 40 * KIB)).unwrap();
    memory
        .store_bytes(&content(1, 300 * KIB), Hold::Name("photo").tag("owner", "ann"))
        .unwrap();
    memory.free(&gone).unwrap();
    memory
        .store_bytes(&content(2, 9 * MIB), Hold::Name("film").tag("owner", "bob"))
        .unwrap();
    memory
        .store("text", Hold::Anonymous.expires_in(day).tag("job", "7"))
        .unwrap();
    memory.store("text", Hold::Name("greeting").expires_in(day)).unwrap();
    memory.set("list", &vec![1, 2, 3]).unwrap();
    memory.allocate_bytes(b"").unwrap();
}

fn exported(memory: &MemManager) -> Vec<u8> {
    let mut tar = Vec::new();
    memory.export_tar(&mut tar, &mut |_, _| {}).unwrap();
    tar
}

fn import(memory: &MemManager, tar: &[u8]) -> (u64, u64) {
    let stream = TarStream::open(tar).unwrap();
    let imported = memory
        .import_tar(stream, ImportOptions::default(), &mut |_, _| {})
        .unwrap();
    (imported.objects, imported.dedup_hits)
}

/// Objects with their holds and tags, without the times at which they were stored.
fn described(memory: &MemManager) -> Vec<String> {
    let describe = |id: ObjectId| {
        let names = memory.names(&id).unwrap().into_iter().map(|name| {
            let tags = memory.tags(&*name.name).unwrap();
            (name.name, name.expires_at, tags)
        });
        let names: Vec<_> = names.collect();
        let object = memory.object(&id).unwrap();
        let anonymous = object.held.then(|| (object.held_until, memory.tags(&id).unwrap()));
        format!("{id} {} {names:?} {anonymous:?}", object.kind)
    };
    memory.objects().map(|object| describe(object.unwrap().id)).collect()
}

#[test]
fn a_heap_goes_to_citus_and_back_as_a_tar() {
    let Some(cluster) = Cluster::new() else { return };
    let folder = tempdir().unwrap();
    let [original, back] =
        ["original.db", "back.db"].map(|name| quick().max_mem(32 * MIB).open(folder.path().join(name)).unwrap());
    fill(&original);
    let there = cluster.open_with(quick().max_mem(32 * MIB));
    let tar = exported(&original);
    assert_eq!(import(&there, &tar), (5, 0));
    assert_eq!(import(&there, &tar), (5, 5));
    cluster.move_away();
    assert_eq!(import(&back, &exported(&there)), (5, 0));
    for copy in [&there, &back] {
        assert_eq!(described(copy), described(&original));
        assert_balanced(copy);
    }
    assert_eq!(back.layout_digest().unwrap(), there.layout_digest().unwrap());
}

#[test]
fn a_tree_comes_back_from_citus_with_its_attributes() {
    let Some(cluster) = Cluster::new() else { return };
    let memory = cluster.open();
    let small = Hold::Name("tree/bin/run").tag("file-mode", "0751");
    memory.store_bytes(b"#!/bin/sh", small).unwrap();
    let large = Hold::Name("tree/large").tag("file-mode", "0644");
    memory.store_bytes(&content(1, 700 * KIB), large).unwrap();
    memory
        .store_bytes(b"bin/run", Hold::Name("tree/link").tag("file-type", "link"))
        .unwrap();
    memory
        .store_bytes(b"", Hold::Name("tree/empty").tag("file-type", "folder"))
        .unwrap();

    let packed = |prefix| {
        let (mut tar, options) = (Vec::new(), SaveTreeOptions::default().attributes(true));
        let saved = memory.save_tree_tar(prefix, &mut tar, options, &mut |_, _| {}).unwrap();
        assert!(saved.skipped.is_empty(), "{saved:?}");
        tar
    };
    let tar = packed("tree");
    let options = StoreTarOptions::default().prefix("copy").attributes(true);
    let mut unstored = |member: heapledger::UnstoredMember| panic!("{}: {}", member.path.display(), member.why);
    let stream = TarStream::open(&*tar).unwrap();
    memory
        .store_tar(stream, &options, &mut unstored, &mut |_, _| {})
        .unwrap();
    assert_eq!(packed("copy"), tar);
    assert_balanced(&memory);
}
