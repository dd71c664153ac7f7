//! Every spelling of a path is just a path.

use std::path::{Path, PathBuf};

use crate::common::{assert_balanced, files_in, files_only, options, quick};
use crate::harness::{again, given};
use heapledger::{Error, MemManager};
use tempfile::tempdir;

#[test]
fn every_spelling_of_a_path_is_just_a_path() {
    files_only!(File);
    let dir = tempdir().unwrap();
    let names = [
        "with space.db",
        "what?.db",
        "mode=memory?mode=memory",
        "a#b.db",
        "100%25.db",
        "żółć 🐢.db",
        "'quoted\".db",
        "-rf",
        "file:heap.db",
    ];
    for name in names {
        let path = dir.path().join(name);
        let id = options().open(&path).unwrap().allocate(name).unwrap();
        assert!(path.is_file(), "{name}");
        let memory = quick().read_only(true).open(&path).unwrap();
        assert_eq!(memory.get::<String>(&id).unwrap(), name);
    }
    assert_eq!(files_in(dir.path()).len(), names.len());
}

#[cfg(unix)]
#[test]
fn a_path_that_is_not_utf8_is_refused_or_used_as_it_is() {
    files_only!(File);
    use std::os::unix::ffi::OsStrExt;
    let dir = tempdir().unwrap();
    let path = dir.path().join(std::ffi::OsStr::from_bytes(b"heap-\xff.db"));
    match options().open(&path) {
        Ok(_) => assert!(path.is_file()),
        Err(error) => assert!(files_in(dir.path()).is_empty() && !error.to_string().is_empty()),
    }
}

#[cfg(unix)]
#[test]
fn a_link_to_a_heap_is_that_heap() {
    files_only!(File);
    let dir = tempdir().unwrap();
    let (path, link) = (dir.path().join("heap.db"), dir.path().join("link.db"));
    std::os::unix::fs::symlink("heap.db", &link).unwrap();
    let memory = options().open(&path).unwrap();
    let linked = options().open(&link).unwrap();
    let id = memory.allocate("it").unwrap();
    assert_eq!(linked.get::<String>(&id).unwrap(), "it");
    linked.free(&id).unwrap();
    assert!(!memory.contains(&id).unwrap());
}

#[cfg(unix)]
#[test]
fn a_new_heap_is_created_where_a_link_leads() {
    files_only!(File);
    use std::os::unix::fs::PermissionsExt;
    let dir = tempdir().unwrap();
    let (folder, link) = (dir.path().join("folder"), dir.path().join("link.db"));
    std::fs::create_dir(&folder).unwrap();
    std::os::unix::fs::symlink("folder/heap.db", &link).unwrap();
    let id = options().open(&link).unwrap().allocate("it").unwrap();
    let path = folder.join("heap.db");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    let memory = options().open(&path).unwrap();
    assert_eq!(memory.get::<String>(&id).unwrap(), "it");
    assert_eq!(memory.check().unwrap(), []);
}

#[cfg(unix)]
#[test]
fn reading_through_a_dangling_link_creates_nothing() {
    files_only!(File);
    let dir = tempdir().unwrap();
    let link = dir.path().join("link.db");
    std::os::unix::fs::symlink("heap.db", &link).unwrap();
    let refused = options().read_only(true).open(&link).unwrap_err();
    assert!(matches!(refused, Error::NoFile { .. }), "{refused}");
    assert!(!dir.path().join("heap.db").exists());
}

#[cfg(unix)]
#[test]
fn a_path_is_the_same_file_through_links_to_the_file_and_to_its_folder() {
    files_only!(File);
    let dir = tempdir().unwrap();
    let folder = dir.path().canonicalize().unwrap().join("folder");
    std::fs::create_dir(&folder).unwrap();
    std::os::unix::fs::symlink(&folder, dir.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink("elsewhere/../elsewhere/heap.db", dir.path().join("link.db")).unwrap();
    let made = options().open(dir.path().join("link.db")).unwrap();
    assert_eq!(made.path(), folder.join("heap.db"));
    let again = quick()
        .read_only(true)
        .open(dir.path().join("elsewhere/heap.db"))
        .unwrap();
    assert_eq!(again.path(), folder.join("heap.db"));
    made.allocate("it").unwrap();
    assert!(
        made.stats().unwrap().wal_size > 0,
        "the log is next to the file, not the link"
    );
    assert!(again.stats().unwrap().wal_size > 0);
}

#[test]
fn an_unusable_path_is_refused_with_a_reason_and_creates_nothing() {
    files_only!(File);
    let dir = tempdir().unwrap();
    let long_name = "n".repeat(248);
    let deep = "d".repeat(100);
    let deep: PathBuf = [&deep; 6].iter().collect();
    std::fs::create_dir_all(dir.path().join(&deep)).unwrap();
    let cases: [(PathBuf, &str); 6] = [
        ("".into(), "empty"),
        (":memory:".into(), "never in memory"),
        (dir.path().join("nul\0.db"), "NUL"),
        (dir.path().join(&long_name), "248 bytes where at most 247"),
        (dir.path().join(deep).join("heap.db"), "at most 504"),
        (dir.path().into(), "not a regular file"),
    ];
    for read_only in [false, true] {
        for (path, why) in &cases {
            let error = quick().read_only(read_only).open(path).unwrap_err().to_string();
            assert!(error.contains(why), "{path:?}: {error}");
        }
    }
    assert!(!Path::new(":memory:").exists());
    assert_eq!(files_in(dir.path()).len(), 1);
    options().open(dir.path().join(&long_name[1..])).unwrap();
    options().open(dir.path().join(":memory:")).unwrap();
}

/// A folder in `root` whose absolute path has `length` bytes.
fn folder_of_length(root: &Path, length: usize) -> PathBuf {
    let mut folder = root.canonicalize().unwrap();
    while folder.as_os_str().len() < length {
        let left = length - folder.as_os_str().len() - 1;
        folder.push("d".repeat(if left > 250 {
            100
        } else if left > 125 {
            left / 2
        } else {
            left
        }));
    }
    assert_eq!(folder.as_os_str().len(), length);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// While a heap is copied, its temporary path is longer than the final one.
#[test]
fn a_path_just_below_the_limit_is_used_or_refused_with_a_reason() {
    files_only!(File);
    let dir = tempdir().unwrap();
    let memory = options().open(dir.path().join("from.db")).unwrap();
    for length in 440..=504 {
        let folder = folder_of_length(dir.path(), length - 2);
        let (path, backup) = (folder.join("h"), folder.join("b"));
        assert_eq!(path.as_os_str().len(), length);
        options().open(&path).unwrap();
        let copied = memory.backup(&backup).map(drop);
        let restored = MemManager::restore(folder.join("r"), memory.path()).map(drop);
        for made in [copied, restored] {
            // The folder, `/.heapledger-`, 8 digits, `-`, 6 more, `/heap.db`, and 8 for `-journal`.
            if length <= 470 {
                made.unwrap();
                continue;
            }
            let error = made.unwrap_err();
            assert!(matches!(error, Error::Io { .. }), "{length}: {error:?}");
            assert!(error.to_string().contains("is too long"), "{length}: {error}");
        }
        assert_eq!(files_in(&folder).len(), if length <= 470 { 3 } else { 1 }, "{length}");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

#[test]
#[ignore = "the process that changes its working folder"]
fn wanders() {
    let Some(folder) = given("HEAPLEDGER_PATH") else { return };
    std::env::set_current_dir(&folder).unwrap();
    let memory = options().open("heap.db").unwrap();
    let id = memory.allocate("here").unwrap();
    std::env::set_current_dir("elsewhere").unwrap();
    // Two readers at the same time, so that one connection is opened from here.
    memory.read(|_| memory.get::<String>(&id)).unwrap();
    memory.allocate_bytes(&vec![7; 100_000]).unwrap();
    memory.allocate_from(&[8; 3_000_000][..]).unwrap();
    memory.collect_garbage().unwrap();
    assert!(memory.stats().unwrap().wal_size > 0 || memory.stats().unwrap().file_size > 3_000_000);
    memory.backup("backup.db").unwrap();
    assert_balanced(&memory);
}

#[test]
fn a_heap_opened_by_a_relative_path_survives_a_change_of_folder() {
    files_only!(File);
    let dir = tempdir().unwrap();
    std::fs::create_dir(dir.path().join("elsewhere")).unwrap();
    let mut wanders = again("paths::wanders");
    let output = wanders.env("HEAPLEDGER_PATH", dir.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(
        files_in(&dir.path().join("elsewhere")).into_keys().collect::<Vec<_>>(),
        ["backup.db"]
    );
    assert_eq!(options().open(dir.path().join("heap.db")).unwrap().objects().count(), 3);
}
