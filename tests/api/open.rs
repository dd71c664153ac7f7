//! Opening: creating heaps, with which defaults, and reopening them.

use std::fs;

use crate::common::{KIB, MIB, Place, assert_balanced, cases, files_only, number, options, quick, server, sql, texts};
use heapledger::{Error, Geometry, MemManager, SizeClass};
use proptest::prelude::*;
use tempfile::tempdir;

#[test]
fn a_new_heap_has_one_space_of_one_gibibyte_in_standard_geometry() {
    let place = Place::new();
    let memory = options().open(place.address()).unwrap();
    assert_eq!(memory.space(), "main");
    assert_eq!(memory.memram().unwrap().max_mem, 1 << 30);
    assert_eq!(memory.geometry(), &Geometry::standard());
    assert_eq!(memory.spaces().unwrap().len(), 1);
    assert_balanced(&memory);
}

#[test]
fn a_new_file_is_marked_uses_wal_and_can_shrink() {
    files_only!(File);
    let dir = tempdir().unwrap();
    let memory = MemManager::open(dir.path().join("heap.db")).unwrap();
    let sql = sql(memory.path());
    assert_eq!(texts(&sql, "PRAGMA journal_mode"), ["wal"]);
    assert_eq!(number(&sql, "PRAGMA auto_vacuum"), 2, "incremental");
    assert_eq!(
        number(&sql, "PRAGMA application_id"),
        i64::from(u32::from_be_bytes(*b"hLdg"))
    );
    assert_eq!(number(&sql, "PRAGMA user_version"), 101);
}

/// The change counter in the header shows whether a log belongs to the file.
#[test]
fn each_new_file_starts_its_change_counter_at_a_random_number() {
    files_only!(File);
    let dir = tempdir().unwrap();
    let counter = |name: &str| {
        let header = fs::read(dir.path().join(name)).unwrap();
        // The second number tells for which counter the size in the header is valid.
        assert_eq!(header[24..28], header[92..96]);
        <[u8; 4]>::try_from(&header[24..28]).unwrap()
    };
    let first = MemManager::open(dir.path().join("first.db")).unwrap();
    first.backup(dir.path().join("backup.db")).unwrap();
    drop(first);
    drop(MemManager::open(dir.path().join("second.db")).unwrap());
    let counters = ["first.db", "backup.db", "second.db"].map(counter);
    let different: std::collections::BTreeSet<_> = counters.iter().collect();
    assert_eq!(different.len(), 3, "{counters:?}");
}

#[cfg(unix)]
#[test]
fn only_its_owner_may_read_a_new_file() {
    files_only!(File);
    use std::os::unix::fs::PermissionsExt;
    let dir = tempdir().unwrap();
    let memory = MemManager::open(dir.path().join("heap.db")).unwrap();
    memory.allocate("secret").unwrap();
    for entry in fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
    }
}

#[cfg(unix)]
#[test]
fn the_permissions_of_an_existing_file_do_not_change() {
    files_only!(File);
    use std::os::unix::fs::PermissionsExt;
    let dir = tempdir().unwrap();
    let path = dir.path().join("heap.db");
    drop(MemManager::open(&path).unwrap());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    drop(MemManager::open(&path).unwrap());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn an_empty_file_becomes_a_heap() {
    files_only!(File);
    let dir = tempdir().unwrap();
    let path = dir.path().join("heap.db");
    fs::write(&path, b"").unwrap();
    let memory = MemManager::open(&path).unwrap();
    let id = memory.allocate("it").unwrap();
    assert_eq!(memory.get::<String>(&id).unwrap(), "it");
    assert_eq!(number(&sql(&path), "PRAGMA auto_vacuum"), 2);
}

#[test]
fn stored_objects_are_there_after_reopening() {
    let place = Place::new();
    let path = place.address();
    let id = {
        let memory = quick()
            .max_mem(100_003)
            .geometry(Geometry::classic())
            .open(path)
            .unwrap();
        let id = memory.allocate("it").unwrap();
        memory.bind("name", &id).unwrap();
        id
    };
    assert_eq!(
        place.files(),
        usize::from(server().is_none()),
        "a closed heap is one file"
    );
    let memory = options().open(path).unwrap();
    assert_eq!(memory.resolve("name").unwrap(), Some(id));
    assert_eq!(memory.get::<String>(&id).unwrap(), "it");
    assert_eq!(memory.geometry(), &Geometry::classic());
    assert_eq!(memory.memram().unwrap().max_mem, 100_003);
    assert_balanced(&memory);
}

#[test]
fn nothing_is_created_that_may_not_be() {
    let place = Place::new();
    let path = place.address();
    let existing = || quick().create(false).create_space(false);
    existing().open(path).unwrap_err();
    assert!(!place.has_heap());
    drop(options().open(path).unwrap());
    let refused = existing().space("mian").open(path);
    assert!(
        matches!(&refused, Err(Error::UnknownSpace { known, .. }) if known == &["main"]),
        "{refused:?}"
    );
    let memory = existing().open(path).unwrap();
    memory.allocate(&1).unwrap();
    assert_eq!(memory.spaces().unwrap().len(), 1);
    assert_balanced(&memory);
}

#[test]
fn an_empty_file_stays_empty_if_nothing_may_be_created() {
    files_only!(File);
    let dir = tempdir().unwrap();
    let path = dir.path().join("heap.db");
    let missing = quick().create(false).open(&path);
    assert!(matches!(missing, Err(Error::NoFile { .. })), "{missing:?}");
    fs::write(&path, "").unwrap();
    let refused = quick().create(false).open(&path);
    assert!(matches!(refused, Err(Error::NotAHeap { .. })), "{refused:?}");
    assert_eq!(fs::read(&path).unwrap(), b"");
}

#[test]
fn a_space_is_reopened_only_with_its_own_size_and_geometry() {
    let place = Place::new();
    let path = place.address();
    let options = quick().max_mem(MIB).geometry(Geometry::classic());
    drop(options.clone().open(path).unwrap());
    drop(options.clone().open(path).unwrap());
    drop(quick().max_mem(MIB).open(path).unwrap());
    drop(quick().geometry(Geometry::classic()).open(path).unwrap());
    let other_pieces = Geometry::new(256 * KIB, 5, Geometry::classic().classes().to_vec()).unwrap();
    for different in [
        quick().max_mem(MIB + 1),
        quick().geometry(Geometry::standard()),
        quick().geometry(Geometry::classic().with_arena_size(128 * KIB).unwrap()),
        quick().geometry(other_pieces),
        options.create_new_space(true),
    ] {
        let error = different.open(path).unwrap_err();
        assert!(
            matches!(&error, Error::SpaceExists { space, .. } if space == "main"),
            "{error}"
        );
    }
    let memory = quick().open(path).unwrap();
    assert_eq!(memory.memram().unwrap().max_mem, 1024 * 1024);
    assert_balanced(&memory);
}

#[test]
fn two_geometries_that_differ_in_a_class_are_different() {
    let place = Place::new();
    let path = place.address();
    let ladder = |pool_size| {
        Geometry::new(
            64 * KIB,
            4,
            vec![SizeClass {
                block_size: 512,
                pool_size,
            }],
        )
        .unwrap()
    };
    drop(quick().geometry(ladder(4096)).open(path).unwrap());
    assert!(matches!(
        quick().geometry(ladder(8192)).open(path),
        Err(Error::SpaceExists { .. })
    ));
    assert_eq!(options().open(path).unwrap().geometry(), &ladder(4096));
}

#[test]
fn a_space_that_was_resized_is_reopened_with_its_new_size() {
    let place = Place::new();
    let path = place.address();
    let memory = quick().max_mem(MIB).open(path).unwrap();
    memory.resize(2 * MIB).unwrap();
    drop(memory);
    assert!(matches!(
        quick().max_mem(MIB).open(path),
        Err(Error::SpaceExists { .. })
    ));
    assert_eq!(
        quick().max_mem(2 * MIB).open(path).unwrap().memram().unwrap().max_mem,
        2 * 1024 * 1024
    );
}

#[test]
fn a_file_holds_several_spaces_each_with_its_own_bound() {
    let place = Place::new();
    let path = place.address();
    let spaces = [
        ("main", 1000, Geometry::standard()),
        ("cache", 70_000, Geometry::classic()),
        ("żółć 🐢", 5, Geometry::standard()),
    ];
    let open = |(name, max_mem, geometry): &(&str, u64, Geometry)| {
        quick()
            .space(*name)
            .max_mem(*max_mem)
            .geometry(geometry.clone())
            .open(path)
            .unwrap()
    };
    let opened: Vec<_> = spaces.iter().map(open).collect();
    for (memory, (name, max_mem, geometry)) in opened.iter().zip(&spaces) {
        assert_eq!((memory.space(), memory.geometry()), (*name, geometry));
        assert!(memory.allocate_bytes(&vec![1; *max_mem as usize + 1]).is_err());
        memory.allocate_bytes(&vec![1; *max_mem as usize]).unwrap();
    }
    let names: Vec<_> = opened[0]
        .spaces()
        .unwrap()
        .into_iter()
        .map(|space| space.name)
        .collect();
    assert_eq!(names, ["main", "cache", "żółć 🐢"]);
    for memory in &opened {
        assert_eq!(memory.objects().count(), 1);
        assert_balanced(memory);
    }
}

#[test]
fn an_impossible_size_is_refused_and_creates_no_file() {
    let place = Place::new();
    for max_mem in [0, i64::MAX as u64 + 1, u64::MAX] {
        let error = quick().max_mem(max_mem).open(place.address()).unwrap_err();
        assert!(matches!(error, Error::BadMaxMem { .. }), "{error}");
    }
    assert_eq!(place.files(), 0);
    quick().max_mem(i64::MAX as u64).open(place.address()).unwrap();
}

#[test]
fn an_impossible_space_name_is_refused() {
    let place = Place::new();
    let path = place.address();
    assert!(quick().space("").open(path).is_err());
    assert!(quick().space("s".repeat(256)).open(path).is_err());
    quick().space("s".repeat(255)).open(path).unwrap();
}

#[test]
fn a_space_name_can_be_any_text_and_a_bad_one_creates_no_file() {
    let place = Place::new();
    let path = place.address();
    for name in [String::new(), "s".repeat(256), "ż".repeat(128)] {
        let refused = quick().space(&name).open(path).unwrap_err();
        assert!(
            matches!(refused, Error::BadSpaceName { length } if length == name.len()),
            "{refused}"
        );
        assert!(quick().space(&name).plan_new(|_| Ok(())).is_err());
    }
    for name in ["\0", "a\0b"] {
        let refused = quick().space(name).open(path).unwrap_err();
        assert!(matches!(refused, Error::NulInName { .. }), "{refused}");
        let refused = quick().space(name).plan_new(|_| Ok(())).unwrap_err();
        assert!(matches!(refused, Error::NulInName { .. }), "{refused}");
    }
    assert_eq!(place.files(), 0);
    let names = [
        " ",
        "\t\n",
        "\u{fffe}",
        "\u{10ffff}",
        "\u{202e}x",
        "'; DROP TABLE memram; --",
        "a/b",
        "-",
    ];
    for name in names {
        let id = quick().space(name).open(path).unwrap().allocate(name).unwrap();
        let memory = quick().space(name).read_only(true).open(path).unwrap();
        assert_eq!(memory.space(), name);
        assert_eq!(memory.get::<String>(&id).unwrap(), name);
        assert_balanced(&memory);
    }
}

/// Sizes as a faulty program may compute them, and valid ones.
fn sizes() -> impl Strategy<Value = (u64, u64, Vec<(u64, u64)>)> {
    let odd = prop_oneof![
        Just(0u64),
        1u64..2000,
        Just(1 << 28),
        Just((1 << 28) + 1),
        Just(1 << 62),
        Just(i64::MAX as u64),
        Just(1 << 63),
        Just(u64::MAX),
    ];
    let class = (odd.clone(), odd.clone());
    let wrong = (odd.clone(), odd, prop::collection::vec(class, 0..4));
    let per_block = prop_oneof![4 => 1u64..100, 1 => Just(1 << 60), 1 => Just(i64::MAX as u64)];
    let huge = (59u32..63, 0u32..29).prop_map(|(arena, block)| (1 << arena, 1, vec![(1 << block, 1 << arena)]));
    let fitting = (per_block, 0..400usize, 1..400usize, any::<bool>());
    let fitting = fitting.prop_map(|(per_block, skipped, count, is_whole_arena)| {
        // A size with thousands of divisors.
        let arena = (1 << 10) * 3u64.pow(6) * 5u64.pow(3) * 49 * 11 * 13;
        let blocks = (1..=1 << 20)
            .filter(|block| arena.is_multiple_of(*block))
            .skip(skipped)
            .take(count);
        let class = |block| (block, if is_whole_arena { arena } else { block });
        (arena, per_block, blocks.map(class).collect())
    });
    prop_oneof![1 => wrong, 2 => fitting, 1 => huge]
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn a_geometry_is_refused_with_a_reason_or_creates_a_heap(
        (arena, per_block, classes) in sizes(),
        max_mem in prop_oneof![Just(0u64), Just(1), 2u64..1000, Just(1 << 30), Just(i64::MAX as u64), Just(u64::MAX)],
    ) {
        let place = Place::new();
        let path = place.address();
        let classes = classes.into_iter().map(|(block_size, pool_size)| SizeClass { block_size, pool_size });
        let geometry = match Geometry::new(arena, per_block, classes.collect()) {
            Ok(geometry) => geometry,
            Err(refused) => {
                prop_assert!(matches!(refused, Error::BadGeometry { .. }), "{refused}");
                return Ok(());
            }
        };
        let options = quick().geometry(geometry.clone()).max_mem(max_mem);
        let memory = match options.clone().open(path) {
            Ok(memory) => memory,
            Err(refused) => {
                prop_assert!(matches!(refused, Error::BadMaxMem { .. }), "{refused}");
                prop_assert_eq!(place.files(), 0);
                return Ok(());
            }
        };
        let mut stored = Vec::new();
        for content in [vec![1; 1], vec![2; 300], Vec::new(), vec![3; 77]] {
            match memory.allocate_bytes(&content) {
                Ok(id) => stored.push((id, content)),
                Err(full) => prop_assert!(matches!(full, Error::OutOfMemory { .. }), "{full}"),
            }
        }
        assert_balanced(&memory);
        drop(memory);
        let memory = options.open(path).unwrap();
        prop_assert_eq!(memory.geometry(), &geometry);
        for (id, content) in stored {
            prop_assert_eq!(memory.get_bytes(&id).unwrap(), content);
        }
        assert_balanced(&memory);
    }
}

#[test]
fn a_heap_that_another_tool_took_out_of_wal_mode_is_switched_back() {
    files_only!(Log);
    let dir = tempdir().unwrap();
    let path = dir.path().join("heap.db");
    let id = MemManager::open(&path).unwrap().allocate("it").unwrap();
    let mode = || texts(&sql(&path), "PRAGMA journal_mode").remove(0);
    let other = sql(&path);
    other.execute("PRAGMA journal_mode = DELETE");
    drop(other);
    assert_eq!(mode(), "delete");
    // A reader opens it as it is.
    let memory = quick().read_only(true).open(&path).unwrap();
    assert_eq!(memory.get::<String>(&id).unwrap(), "it");
    drop(memory);
    assert_eq!(mode(), "delete");
    // Opening for writing waits for a reader, and fails if it does not finish.
    let reader = sql(&path);
    reader.execute("BEGIN; SELECT count(*) FROM objects");
    let busy = MemManager::options()
        .busy_timeout(std::time::Duration::from_millis(50))
        .open(&path);
    assert!(matches!(busy, Err(Error::Busy { .. })), "{busy:?}");
    drop(reader);
    let memory = MemManager::open(&path).unwrap();
    assert_eq!(mode(), "wal");
    memory.allocate("more").unwrap();
    assert_balanced(&memory);
}
