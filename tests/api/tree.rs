//! Names that are paths: found by what they begin with, and written as files, never outside the folder.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::common::{Heap, MIB, assert_balanced, content, files_below, files_only, quick};
use heapledger::{Error, Hold, MemManager, SaveTreeOptions, SavedTree, name_of_path};

fn named(heap: &MemManager, prefix: &str) -> Vec<String> {
    let names = heap.names_with_prefix(prefix).map(|name| name.unwrap().name);
    names.collect()
}

fn store(heap: &MemManager, name: &str) {
    heap.store_bytes(name.as_bytes(), Hold::Name(name)).unwrap();
}

fn skipped(saved: &SavedTree) -> Vec<(&str, &str)> {
    let skipped = saved.skipped.iter();
    skipped
        .map(|skipped| (skipped.name.as_str(), skipped.why.as_str()))
        .collect()
}

#[test]
fn names_are_found_by_what_they_begin_with_in_the_order_of_their_bytes() {
    let heap = Heap::new();
    let all = [
        "a",
        "a-b",
        "a/",
        "a/b",
        "a/é",
        "a/\u{d7ff}",
        "a/\u{e000}",
        "a/\u{10ffff}",
        "a0",
        "b",
        "\u{10ffff}x",
    ];
    for name in all.iter().rev() {
        store(&heap, name);
    }
    assert_eq!(named(&heap, ""), all);
    assert_eq!(named(&heap, "a/"), all[2..8]);
    assert_eq!(named(&heap, "a/\u{d7ff}"), all[5..6]);
    assert_eq!(named(&heap, "a/\u{10ffff}"), all[7..8]);
    assert_eq!(named(&heap, "\u{10ffff}"), all[10..]);
    assert_eq!(named(&heap, "c"), [""; 0]);
    let found = heap.names_with_prefix("a/b").next().unwrap().unwrap();
    let object = heap.object(&found.object_id).unwrap();
    assert_eq!(
        (found.stored_object_id, found.kind, found.size),
        (object.id, object.kind, 3)
    );
    assert_eq!(heap.get_bytes_by_name("a/b").unwrap().unwrap(), b"a/b");
}

#[test]
fn many_names_are_found_and_those_that_have_expired_are_not() {
    let heap = Heap::of(4 * MIB, heapledger::Geometry::standard());
    heap.batch(|batch| {
        for number in 0..1203 {
            batch.store_bytes(b"the same", Hold::Name(&format!("many/{number:04}")))?;
        }
        Ok(())
    })
    .unwrap();
    let soon = Duration::from_millis(1);
    heap.store_bytes(b"x", Hold::Name("many/0500x").expires_in(soon))
        .unwrap();
    std::thread::sleep(Duration::from_millis(5));
    let other = quick().space("other").max_mem(MIB).open(heap.address()).unwrap();
    store(&other, "many/other");

    let expected: Vec<_> = (0..1203).map(|number| format!("many/{number:04}")).collect();
    assert_eq!(named(&heap, "many/"), expected);
    assert_eq!(named(&other, ""), ["many/other"]);
}

#[test]
fn the_names_of_many_objects_are_read_together() {
    let heap = Heap::of(4 * MIB, heapledger::Geometry::standard());
    let ids = heap
        .batch(|batch| {
            let store = |number: u32| Ok(batch.store(&number, Hold::Name(&format!("name/{number}")))?.id);
            (0..700).map(store).collect::<Result<Vec<_>, Error>>()
        })
        .unwrap();
    let unnamed = heap.allocate("unnamed").unwrap();
    heap.bind("another", &ids[600]).unwrap();
    let asked: Vec<_> = ids[1..].iter().copied().chain([unnamed]).collect();
    let found = heap.names_of(&asked).unwrap();
    assert_eq!(found.len(), 699);
    assert_eq!(found[&ids[600]], ["another", "name/600"]);
    assert_eq!(found[&ids[1]], ["name/1"]);
    assert!(!found.contains_key(&unnamed) && !found.contains_key(&ids[0]));
}

#[test]
fn a_name_that_is_not_text_is_damage() {
    crate::common::files_only!(Text);
    let heap = Heap::new();
    store(&heap, "a/b");
    heap.sql().damage("UPDATE names SET name = CAST(x'612FFF' AS TEXT)");
    let found = heap.names_with_prefix("a/").next().unwrap();
    assert!(matches!(found, Err(Error::Damaged { .. })), "{found:?}");
}

#[test]
fn names_become_files_and_only_those_below_the_prefix() {
    let heap = Heap::of(16 * MIB, heapledger::Geometry::standard());
    let contents = [
        ("p/a", 10),
        ("p/d/e/f", 0),
        ("p/d/g", 700_000),
        ("p/h", 3_000_000),
        ("p/i", 40_000),
    ];
    for (seed, (name, size)) in contents.into_iter().enumerate() {
        heap.store_bytes(&content(seed as u64, size), Hold::Name(name)).unwrap();
    }
    heap.set("p/value", &vec![1, 2]).unwrap();
    for name in ["p", "p-q", "q/a"] {
        store(&heap, name);
    }
    let to = heap.place().folder().join("out/new");
    for prefix in ["p", "p/"] {
        let saved = heap.save_tree(prefix, &to).unwrap();
        assert_eq!(saved.skipped, []);
        assert_eq!((saved.files, saved.bytes), (6, 10 + 700_000 + 3_000_000 + 40_000 + 5));
        let mut expected: BTreeMap<PathBuf, Vec<u8>> = contents
            .into_iter()
            .enumerate()
            .map(|(seed, (name, size))| (name[2..].into(), content(seed as u64, size)))
            .collect();
        expected.insert("value".into(), b"[1,2]".to_vec());
        assert_eq!(files_below(&to), expected);
        fs::remove_dir_all(&to).unwrap();
    }
    assert_eq!(heap.save_tree("nothing", &to).unwrap(), SavedTree::default());
    assert!(!to.exists());
    let all = heap.save_tree("", &to).unwrap();
    assert_eq!(all.files, 3);
    // `p` came first, so there is no folder p.
    assert!(all.skipped.iter().all(|skipped| skipped.name.starts_with("p/")));
}

#[test]
fn nothing_is_written_outside_the_folder() {
    let heap = Heap::new();
    let folder = heap.place().folder();
    let (to, outside) = (folder.join("to"), folder.join("outside"));
    for made in [&to, &outside, &to.join("folder")] {
        fs::create_dir(made).unwrap();
    }
    fs::write(outside.join("kept"), "kept").unwrap();
    symlink("../outside", to.join("link")).unwrap();
    symlink("../outside/kept", to.join("file-link")).unwrap();
    symlink("../outside/new", to.join("dangling")).unwrap();
    let long = "x".repeat(256);
    let refused = [
        "/abs",
        "../up",
        "a/../../up",
        "./dot",
        "a//b",
        "end/",
        "%2e%2e/up",
        "100%",
        &long,
        "link/new",
        "link/kept",
        "folder",
        "file/below",
        "dangling/x",
    ];
    let written = ["a", "file", "file-link", "dangling", "fine/100%25"];
    for name in refused.iter().chain(&written) {
        store(&heap, name);
    }
    let options = SaveTreeOptions::default().replace(true);
    let saved = heap.save_tree_with("", &to, options, &mut |_, _| {}).unwrap();

    let mut expected: Vec<&str> = refused.to_vec();
    expected.sort_unstable();
    let found: Vec<_> = skipped(&saved).into_iter().map(|(name, _)| name).collect();
    assert_eq!(found, expected);
    let kept = BTreeMap::from([("kept".into(), b"kept".to_vec())]);
    assert_eq!(files_below(&outside), kept);
    let names: Vec<_> = files_below(&to).into_keys().collect();
    let expected = ["a", "dangling", "file", "file-link", "fine/100%", "link"].map(PathBuf::from);
    assert_eq!(names, expected);
    assert!(to.join("file-link").symlink_metadata().unwrap().is_file());
    assert_balanced(&heap);
}

#[test]
fn a_file_that_exists_is_left_alone_unless_it_may_be_replaced() {
    let heap = Heap::new();
    store(&heap, "a");
    store(&heap, "b/c");
    let to = heap.place().folder().join("to");
    fs::create_dir_all(to.join("b")).unwrap();
    fs::write(to.join("a"), "mine").unwrap();
    symlink("nowhere", to.join("b/c")).unwrap();
    let saved = heap.save_tree("", &to).unwrap();
    assert_eq!(skipped(&saved), [("a", "it exists"), ("b/c", "it exists")]);
    assert_eq!(files_below(&to)[Path::new("a")], b"mine");

    let options = SaveTreeOptions::default().replace(true);
    let saved = heap.save_tree_with("", &to, options, &mut |_, _| {}).unwrap();
    assert_eq!((saved.files, saved.skipped.len()), (2, 0));
    let expected = ["a", "b/c"].map(|name| (PathBuf::from(name), name.as_bytes().to_vec()));
    assert_eq!(files_below(&to), expected.into());
}

#[test]
fn an_open_heap_is_never_replaced() {
    crate::common::files_only!(File);
    let heap = Heap::new();
    let name = heap.address().file_name().unwrap().to_str().unwrap();
    store(&heap, name);
    let options = SaveTreeOptions::default().replace(true);
    let folder = heap.place().folder();
    let saved = heap.save_tree_with("", folder, options, &mut |_, _| {}).unwrap();
    assert_eq!(skipped(&saved), [(name, "a heap that is open here is there")]);
    assert_balanced(&heap);
}

#[test]
fn a_damaged_object_is_skipped_and_leaves_no_file() {
    let heap = Heap::new();
    for name in ["a", "b", "c"] {
        store(&heap, name);
    }
    let id = heap.resolve("b").unwrap().unwrap();
    let key = heap.object(&id).unwrap().id;
    heap.sql()
        .damage(&format!("UPDATE ledger SET data = x'58' WHERE id = {key}"));
    let to = heap.place().folder().join("to");
    let saved = heap.save_tree("", &to).unwrap();
    assert_eq!(skipped(&saved), [("b", "its object is damaged")]);
    assert_eq!(
        files_below(&to).into_keys().collect::<Vec<_>>(),
        ["a", "c"].map(PathBuf::from)
    );
}

#[test]
fn an_object_with_an_unreadable_page_is_skipped_and_named() {
    files_only!(File);
    // Read with others, and on its own.
    for size in [20_000, 700_000] {
        let heap = Heap::of(4 * MIB, heapledger::Geometry::standard());
        for (seed, name) in (0..).zip(["a", "b", "c"]) {
            heap.store_bytes(&content(seed, size), Hold::Name(name)).unwrap();
        }
        let id = heap.resolve("b").unwrap().unwrap();
        let place = heap.close();
        let mut file = fs::read(place.address()).unwrap();
        let middle = &content(1, size)[size as usize / 2..][..16];
        let at = file.windows(16).position(|bytes| bytes == middle).unwrap() / 4096 * 4096;
        file[at..at + 4096].fill(0);
        fs::write(place.address(), file).unwrap();

        let (heap, to) = (quick().open(place.address()).unwrap(), place.folder().join("to"));
        let saved = heap.save_tree("", &to).unwrap();
        assert_eq!(skipped(&saved), [("b", "its object is damaged")], "{size}");
        assert_eq!(fs::read(to.join("c")).unwrap(), content(2, size));
        let refused = heap.export(place.folder().join("exported")).unwrap_err();
        assert!(refused.to_string().contains(&id.to_string()), "{refused}");
    }
}

/// Where checks come before writes, somebody who is fast enough gets in between.
#[test]
fn a_folder_that_becomes_a_link_meanwhile_leads_nowhere() {
    let heap = Heap::of(4 * MIB, heapledger::Geometry::standard());
    heap.batch(|batch| {
        for number in 0..1000 {
            let (left, right) = (format!("x/{number:04}/left"), format!("y/{number:04}"));
            batch.store_bytes(b"content", Hold::Name(&left))?;
            batch.store_bytes(b"content", Hold::Name(&right))?;
        }
        Ok(())
    })
    .unwrap();
    let folder = heap.place().folder();
    let (to, outside, aside) = (folder.join("to"), folder.join("outside"), folder.join("aside"));
    for made in [&to, &outside] {
        fs::create_dir(made).unwrap();
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                for name in ["x", "y"] {
                    let path = to.join(name);
                    if fs::rename(&path, aside.join(name)).is_err() {
                        let _ = fs::create_dir(&aside);
                    } else if symlink(&outside, &path).is_ok() {
                        let _ = fs::remove_file(&path);
                        let _ = fs::rename(aside.join(name), &path);
                    }
                }
            }
        });
        let options = SaveTreeOptions::default().replace(true);
        heap.save_tree_with("", &to, options, &mut |_, _| {}).unwrap();
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(files_below(&outside), BTreeMap::new());
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn any_path_comes_back() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let heap = Heap::new();
    let parts: [&[u8]; 7] = [b"%", b"100%", b"\xff\xfe", b"a\nb", "ünï".as_bytes(), b" ", b"~%FF"];
    let mut expected = BTreeMap::new();
    for (number, part) in parts.into_iter().enumerate() {
        let path = Path::new("deep").join(OsStr::from_bytes(part)).join(number.to_string());
        let name = name_of_path(&path).unwrap();
        heap.store_bytes(part, Hold::Name(&name)).unwrap();
        expected.insert(path, part.to_vec());
    }
    let to = heap.place().folder().join("to");
    assert_eq!(heap.save_tree("", &to).unwrap().skipped, []);
    assert_eq!(files_below(&to), expected);
}
