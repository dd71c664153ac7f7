//! Taking a heap elsewhere: backup, export and import, and the sqlite3 shell's dump.

#![cfg(test)]
// Helpers of tests fail as tests do; clippy.toml knows only what is marked #[test].
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;
mod harness;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{Heap, KIB, assert_balanced, assert_file_balanced, content, number, quick, sql};
use harness::possible;
use heapledger::{Error, Hold, MemManager, ObjectId};
use tempfile::TempDir;

/// Every kind, several names, an anonymous hold beside a name, an empty object.
fn heap() -> Heap {
    let heap = Heap::new();
    let big = heap
        .store_bytes(&content(1, 300 * KIB), Hold::Name("photos/one.jpg"))
        .unwrap()
        .id;
    heap.bind("second \"name\"\n", &big).unwrap();
    heap.allocate_bytes(b"").unwrap();
    heap.allocate("text").unwrap();
    heap.store("text", Hold::Name("greeting")).unwrap();
    heap.store(&vec![1, 2, 3], Hold::Name("list")).unwrap();
    heap.allocate(&-7).unwrap();
    heap.allocate(&2.5).unwrap();
    heap.allocate(&true).unwrap();
    heap.allocate(&()).unwrap();
    heap
}

type Described = BTreeMap<String, (String, Option<String>, Vec<String>, bool, Vec<u8>)>;

fn described(memory: &MemManager) -> Described {
    let describe = |object: heapledger::ObjectInfo| {
        let id: ObjectId = object.object_id.parse().unwrap();
        let names = memory.names(&id).unwrap().into_iter().map(|name| name.name).collect();
        let bytes = memory.get_bytes(&id).unwrap();
        (
            object.object_id,
            (object.kind, object.type_name, names, object.held, bytes),
        )
    };
    memory.objects().map(|object| describe(object.unwrap())).collect()
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn entries(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut entries: Vec<_> = entries.collect();
    entries.sort();
    entries
}

#[test]
fn a_backup_is_a_heap_like_any_other() {
    let (heap, folder) = (heap(), TempDir::new().unwrap());
    let to = folder.path().join("copy.db");
    let backup = heap.backup(&to).unwrap();
    assert_eq!(
        (backup.violations.as_slice(), backup.file_size),
        ([].as_slice(), fs::metadata(&to).unwrap().len())
    );
    assert_eq!(entries(folder.path()), ["copy.db"], "nothing else is left");
    assert_eq!(mode(&to), 0o600);
    for pragma in ["application_id", "user_version", "auto_vacuum", "page_size"] {
        let [ours, theirs] = [heap.path(), &to].map(|path| number(&sql(path), &format!("PRAGMA {pragma}")));
        assert_eq!(ours, theirs, "{pragma}");
    }
    let journal: String = sql(&to).query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    assert_eq!(journal, "wal");
    let copy = quick().open(&to).unwrap();
    assert_eq!(described(&copy), described(&heap));
    copy.allocate_bytes(&content(9, 9000)).unwrap();
    copy.collect_garbage().unwrap();
    assert_balanced(&copy);
}

#[test]
fn a_backup_overwrites_nothing() {
    let (heap, folder) = (heap(), TempDir::new().unwrap());
    let to = folder.path().join("copy.db");
    fs::write(&to, "mine").unwrap();
    assert!(matches!(heap.backup(&to), Err(Error::Exists { .. })));
    assert_eq!(fs::read(&to).unwrap(), b"mine");
    assert!(matches!(heap.backup(heap.path()), Err(Error::Exists { .. })));
    assert!(matches!(
        heap.backup(folder.path().join("no/such/folder.db")),
        Err(Error::Io { .. })
    ));
    assert_eq!(entries(folder.path()), ["copy.db"]);
}

#[test]
fn a_backup_is_one_commit_though_others_write() {
    let heap = heap();
    let folder = TempDir::new().unwrap();
    // Set by whatever ends the backups, or the writer would go on for ever.
    let stop = Stop::default();
    let whole = heap.objects().count();
    std::thread::scope(|scope| {
        let (heap, stopped) = (&heap, Arc::clone(&stop.0));
        scope.spawn(move || {
            let mut seed = 100;
            while !stopped.load(Ordering::Relaxed) {
                // Always both or neither.
                let pair = heap.batch(|batch| {
                    let pair = [
                        batch.allocate_bytes(&content(seed, 3000))?,
                        batch.allocate_bytes(&content(seed + 1, 200))?,
                    ];
                    batch.bind("pair", &pair[0])?;
                    Ok(pair)
                });
                heap.batch(|batch| {
                    let [one, two] = pair?;
                    batch.force_free(&one)?;
                    batch.force_free(&two)
                })
                .unwrap();
                seed += 2;
            }
        });
        let stop = stop;
        for round in 0..5 {
            let to = folder.path().join(format!("{round}.db"));
            assert!(heap.backup(&to).unwrap().violations.is_empty());
            let copy = quick().open(&to).unwrap();
            assert_balanced(&copy);
            assert!([whole, whole + 2].contains(&copy.objects().count()), "half a batch");
        }
        drop(stop);
    });
}

#[derive(Default)]
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_backup_of_a_damaged_heap_says_so() {
    let (heap, folder) = (heap(), TempDir::new().unwrap());
    heap.sql()
        .execute("UPDATE pools SET mem = mem - 1 WHERE id = 1", [])
        .unwrap();
    let backup = heap.backup(folder.path().join("copy.db")).unwrap();
    assert!(backup.violations.iter().any(|violation| violation.invariant == "I3"));
}

#[test]
fn a_reader_can_back_up_and_export() {
    let (heap, folder) = (heap(), TempDir::new().unwrap());
    let reader = quick().read_only(true).open(heap.path()).unwrap();
    reader.backup(folder.path().join("copy.db")).unwrap();
    assert_eq!(reader.export(folder.path().join("files")).unwrap().objects, 8);
}

#[test]
fn an_export_comes_back_as_it_was() {
    let (heap, folder) = (heap(), TempDir::new().unwrap());
    let files = folder.path().join("files");
    let exported = heap.export(&files).unwrap();
    assert_eq!((exported.objects, exported.names), (8, 4));
    assert_eq!(entries(&files), ["manifest.jsonl", "objects"]);
    assert_eq!(entries(folder.path()), ["files"]);
    assert_eq!((mode(&files), mode(&files.join("manifest.jsonl"))), (0o700, 0o600));
    let other = Heap::new();
    let imported = other.import(&files).unwrap();
    assert_eq!((imported.objects, imported.dedup_hits, imported.names), (8, 0, 4));
    assert_eq!(imported.bytes, exported.bytes);
    assert_eq!(described(&other), described(&heap));
    assert_eq!(
        other.get::<Vec<i32>>(&other.resolve("list").unwrap().unwrap()).unwrap(),
        [1, 2, 3]
    );
    assert_balanced(&other);
    // Again: everything is there.
    assert_eq!(other.import(&files).unwrap().dedup_hits, 8);
    assert_eq!(described(&other), described(&heap));
}

#[test]
fn the_exported_files_are_the_contents() {
    let (heap, folder) = (heap(), TempDir::new().unwrap());
    heap.export(folder.path().join("files")).unwrap();
    let manifest = fs::read_to_string(folder.path().join("files/manifest.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> = manifest
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let big = &lines[0];
    assert_eq!(big["kind"], "bytes");
    assert_eq!(big["names"], serde_json::json!(["photos/one.jpg", "second \"name\"\n"]));
    let file = folder.path().join("files").join(big["file"].as_str().unwrap());
    assert_eq!(
        ObjectId::of_bytes(&fs::read(file).unwrap()).to_string(),
        big["object_id"].as_str().unwrap()
    );
}

#[test]
fn an_export_overwrites_nothing() {
    let (heap, folder) = (heap(), TempDir::new().unwrap());
    let taken = folder.path().join("taken");
    fs::create_dir(&taken).unwrap();
    fs::write(taken.join("mine"), "mine").unwrap();
    assert!(matches!(heap.export(&taken), Err(Error::Exists { .. })));
    assert!(matches!(heap.export(taken.join("mine")), Err(Error::Exists { .. })));
    assert_eq!(entries(&taken), ["mine"]);
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    heap.export(&empty).unwrap();
    assert_eq!(entries(folder.path()), ["empty", "taken"]);
}

#[test]
fn an_export_of_damaged_content_is_refused_and_leaves_nothing() {
    let (heap, folder) = (heap(), TempDir::new().unwrap());
    heap.sql()
        .execute("UPDATE ledger SET data = zeroblob(allocated_mem) WHERE id = 1", [])
        .unwrap();
    assert!(matches!(
        heap.export(folder.path().join("files")),
        Err(Error::Damaged { .. })
    ));
    assert_eq!(entries(folder.path()), Vec::<String>::new());
}

/// The export with `change` made to the manifest or a file, and what importing it says.
fn import_changed(change: impl FnOnce(&Path, &mut String)) -> (Heap, String) {
    let (heap, folder) = (heap(), TempDir::new().unwrap());
    let files = folder.path().join("files");
    heap.export(&files).unwrap();
    let mut manifest = fs::read_to_string(files.join("manifest.jsonl")).unwrap();
    change(&files, &mut manifest);
    fs::write(files.join("manifest.jsonl"), manifest).unwrap();
    let other = Heap::new();
    let error = other.import(&files).unwrap_err();
    assert_balanced(&other);
    (other, error.to_string())
}

#[test]
fn content_that_is_not_what_its_id_says_is_refused() {
    let (other, error) = import_changed(|files, _| {
        let file = walk(&files.join("objects"))
            .into_iter()
            .find(|file| fs::metadata(file).unwrap().len() > 1000);
        fs::write(file.unwrap(), "something else").unwrap();
    });
    assert!(error.contains("its 14 bytes are those of"), "{error}");
    assert_eq!(other.resolve("photos/one.jpg").unwrap(), None, "nothing half done");
}

#[test]
fn a_manifest_that_is_none_is_refused() {
    for (from, to, what) in [
        ("\"kind\":\"str\"", "\"kind\":\"pickle\"", "pickle"),
        ("\"file\":\"objects/", "\"file\":\"../objects/", "no file of the export"),
        ("\"file\":\"objects/", "\"file\":\"/objects/", "no file of the export"),
        ("\"object_id\":\"", "\"object_id\":\"x", "64 hexadecimal digits"),
        (
            "\"kind\":\"int\",\"type_name\":null",
            "\"kind\":\"int\",\"type_name\":\"T\"",
            "no type_name",
        ),
        ("\"size\":", "\"sighs\":", "size"),
        ("{", "", "line 1"),
        ("\"names\":[\"list\"]", "\"names\":[\"\"]", "1 to 4,096 bytes"),
    ] {
        let (_, error) = import_changed(|_, manifest| *manifest = manifest.replacen(from, to, 1));
        assert!(error.contains(what), "{from} → {to}: {error}");
    }
}

#[test]
fn a_link_out_of_an_export_is_not_followed() {
    let secret = TempDir::new().unwrap();
    fs::write(secret.path().join("secret"), "text").unwrap();
    let (_, error) = import_changed(|files, _| {
        let file = walk(&files.join("objects"))
            .into_iter()
            .find(|file| fs::read(file).unwrap() == b"text")
            .unwrap();
        fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink(secret.path().join("secret"), &file).unwrap();
    });
    assert!(error.contains("no regular file"), "{error}");
}

#[test]
fn an_import_takes_no_name_away() {
    let (heap, folder) = (heap(), TempDir::new().unwrap());
    heap.export(folder.path().join("files")).unwrap();
    let other = Heap::new();
    let mine = other.store("mine", Hold::Name("greeting")).unwrap().id;
    let error = other.import(folder.path().join("files")).unwrap_err().to_string();
    assert!(error.contains("\"greeting\" is bound to object"), "{error}");
    assert_eq!(other.resolve("greeting").unwrap(), Some(mine));
}

#[test]
fn an_import_that_does_not_fit_is_refused() {
    let (heap, folder) = (heap(), TempDir::new().unwrap());
    heap.export(folder.path().join("files")).unwrap();
    let small = Heap::of(64 * KIB, heapledger::Geometry::standard());
    assert!(matches!(
        small.import(folder.path().join("files")),
        Err(Error::OutOfMemory { .. })
    ));
    assert_balanced(&small);
}

/// As the documentation of `MemManager::backup` says.
#[test]
fn a_dump_reloads_through_the_sqlite3_shell() {
    if !possible("the sqlite3 shell", "sqlite3 --version") {
        return;
    }
    let (heap, folder) = (heap(), TempDir::new().unwrap());
    let dump = Command::new("sqlite3").arg(heap.path()).arg(".dump").output().unwrap();
    assert!(dump.status.success());
    let (text, new) = (folder.path().join("heap.sql"), folder.path().join("new.db"));
    fs::write(&text, dump.stdout).unwrap();
    let load = Command::new("sqlite3")
        .args([
            new.to_str().unwrap(),
            "PRAGMA auto_vacuum = INCREMENTAL",
            "PRAGMA application_id = 1749836903",
            &format!("PRAGMA user_version = {}", number(&heap.sql(), "PRAGMA user_version")),
            "PRAGMA journal_mode = WAL",
            &format!(".read {}", text.display()),
        ])
        .stdout(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&load.stderr), "");
    for pragma in ["application_id", "user_version", "auto_vacuum"] {
        let [ours, theirs] = [heap.path(), &new].map(|path| number(&sql(path), &format!("PRAGMA {pragma}")));
        assert_eq!(ours, theirs, "{pragma}");
    }
    let reloaded = quick().open(&new).unwrap();
    assert_eq!(described(&reloaded), described(&heap));
    assert_balanced(&reloaded);
    assert_file_balanced(&sql(&new));
    reloaded.allocate_bytes(&content(5, 7000)).unwrap();
    assert_balanced(&reloaded);
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let files = walkdir::WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter()
        .map(|entry| entry.unwrap());
    files
        .filter(|entry| entry.file_type().is_file())
        .map(walkdir::DirEntry::into_path)
        .collect()
}
