//! Backup, export and import, and the sqlite3 shell's dump.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::common::skip::possible;
use crate::common::{
    Heap, KIB, assert_balanced, assert_sql_balanced, content, disguise, files_only, number, quick, server, sql, texts,
};
use heapledger::{Error, Hold, ImportOptions, Kind, MemManager, ObjectId, OnConflict, TransferError};
use tempfile::TempDir;

/// Every kind, several names, an anonymous hold next to a name, and an empty object.
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
        let id = object.id;
        let names = memory.names(&id).unwrap().into_iter().map(|name| name.name).collect();
        let bytes = memory.get_bytes(&id).unwrap();
        (
            id.to_hex(),
            (object.kind.to_string(), object.type_name, names, object.held, bytes),
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
    files_only!(Backup);
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
        let [ours, theirs] = [heap.address(), &to].map(|path| number(&sql(path), &format!("PRAGMA {pragma}")));
        assert_eq!(ours, theirs, "{pragma}");
    }
    let journal = texts(&sql(&to), "PRAGMA journal_mode").remove(0);
    assert_eq!(journal, "wal");
    let copy = quick().open(&to).unwrap();
    assert_eq!(described(&copy), described(&heap));
    copy.allocate_bytes(&content(9, 9000)).unwrap();
    copy.collect_garbage().unwrap();
    assert_balanced(&copy);
}

#[test]
fn a_backup_overwrites_nothing() {
    files_only!(Backup);
    let (heap, folder) = (heap(), TempDir::new().unwrap());
    let to = folder.path().join("copy.db");
    fs::write(&to, "mine").unwrap();
    assert!(matches!(
        heap.backup(&to),
        Err(Error::Transfer(TransferError::Exists { .. }))
    ));
    assert_eq!(fs::read(&to).unwrap(), b"mine");
    assert!(matches!(
        heap.backup(heap.address()),
        Err(Error::Transfer(TransferError::Exists { .. }))
    ));
    assert!(matches!(
        heap.backup(folder.path().join("no/such/folder.db")),
        Err(Error::Io { .. })
    ));
    assert_eq!(entries(folder.path()), ["copy.db"]);
}

#[test]
fn a_backup_shows_one_commit_while_others_write() {
    files_only!(Backup);
    let heap = heap();
    let folder = TempDir::new().unwrap();
    // Set on drop, even if a backup fails, or the writer would never stop.
    let stop = Stop::default();
    let whole = heap.objects().count();
    std::thread::scope(|scope| {
        let (heap, stopped) = (&heap, Arc::clone(&stop.0));
        scope.spawn(move || {
            let mut seed = 100;
            while !stopped.load(Ordering::Relaxed) {
                // Both are stored, or neither.
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
fn a_backup_reports_a_damaged_heap() {
    files_only!(Backup);
    let (heap, folder) = (heap(), TempDir::new().unwrap());
    heap.sql().change("UPDATE pools SET mem = mem - 1 WHERE id = 1");
    let backup = heap.backup(folder.path().join("copy.db")).unwrap();
    assert!(
        backup
            .violations
            .iter()
            .any(|violation| violation.invariant.name() == "I3")
    );
}

#[test]
fn a_reader_can_back_up_and_export() {
    let (heap, folder) = (heap(), TempDir::new().unwrap());
    let reader = quick().read_only(true).open(heap.address()).unwrap();
    if server().is_none() {
        reader.backup(folder.path().join("copy.db")).unwrap();
    }
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
    // A second import finds everything there.
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
    assert!(matches!(
        heap.export(&taken),
        Err(Error::Transfer(TransferError::Exists { .. }))
    ));
    assert!(matches!(
        heap.export(taken.join("mine")),
        Err(Error::Transfer(TransferError::Exists { .. }))
    ));
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
        .change("UPDATE ledger SET data = zeroblob(allocated_mem) WHERE id = 1");
    assert!(matches!(
        heap.export(folder.path().join("files")),
        Err(Error::Damaged { .. })
    ));
    assert_eq!(entries(folder.path()), Vec::<String>::new());
}

#[test]
fn an_export_that_could_not_be_imported_is_refused() {
    let (heap, folder) = (Heap::new(), TempDir::new().unwrap());
    heap.allocate_bytes(b"007").unwrap();
    disguise(&heap.sql(), 1, Kind::Int, b"007");
    let error = heap.export(folder.path().join("files")).unwrap_err();
    assert!(
        matches!(&error, Error::Damaged { what } if what.contains("not of kind int")),
        "{error}"
    );
    heap.repair().unwrap();
    heap.export(folder.path().join("files")).unwrap();
    assert_eq!(Heap::new().import(folder.path().join("files")).unwrap().objects, 1);
}

/// Changes the manifest or a file of an export, and returns the error of importing it.
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
fn content_that_does_not_match_its_id_is_refused() {
    let (other, error) = import_changed(|files, _| {
        let file = walk(&files.join("objects"))
            .into_iter()
            .find(|file| fs::metadata(file).unwrap().len() > 1000);
        fs::write(file.unwrap(), content(2, 300 * KIB)).unwrap();
    });
    assert!(error.contains("its 307200 bytes have the id"), "{error}");
    assert_eq!(other.resolve("photos/one.jpg").unwrap(), None, "half an import");
}

#[test]
fn an_invalid_manifest_is_refused() {
    for (from, to, what) in [
        ("\"kind\":\"str\"", "\"kind\":\"pickle\"", "pickle"),
        (
            "\"file\":\"objects/",
            "\"file\":\"../objects/",
            "is not a file of the export",
        ),
        (
            "\"file\":\"objects/",
            "\"file\":\"/objects/",
            "is not a file of the export",
        ),
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
    assert!(error.contains("not a regular file"), "{error}");
}

#[test]
fn a_folder_of_an_export_that_is_a_link_is_not_followed() {
    let secret = TempDir::new().unwrap();
    let (_, error) = import_changed(|files, _| {
        fs::rename(files.join("objects"), secret.path().join("objects")).unwrap();
        std::os::unix::fs::symlink(secret.path().join("objects"), files.join("objects")).unwrap();
    });
    assert!(error.contains("part of its path is a link, or not a folder"), "{error}");
}

#[test]
fn a_manifest_that_is_not_a_regular_file_is_refused_without_waiting() {
    let folder = TempDir::new().unwrap();
    let manifest = folder.path().join("manifest.jsonl");
    let pipe = Command::new("mkfifo").arg(&manifest).status().unwrap();
    assert!(pipe.success());
    let heap = Heap::new();
    let refused = |heap: &Heap| heap.import(folder.path()).unwrap_err().to_string();
    assert!(refused(&heap).contains("not a regular file"));
    for target in ["/dev/zero", "/etc/passwd"] {
        fs::remove_file(&manifest).unwrap();
        std::os::unix::fs::symlink(target, &manifest).unwrap();
        assert!(refused(&heap).contains("not a regular file"), "{target}");
    }
    fs::remove_file(&manifest).unwrap();
    assert!(matches!(heap.import(folder.path()), Err(Error::Io { .. })));
    assert!(matches!(
        MemManager::survey_export(folder.path().join("none")),
        Err(Error::Io { .. })
    ));
}

#[test]
fn a_manifest_saved_by_an_editor_is_accepted() {
    let (heap, folder) = (heap(), TempDir::new().unwrap());
    let files = folder.path().join("files");
    heap.export(&files).unwrap();
    let manifest = fs::read_to_string(files.join("manifest.jsonl")).unwrap();
    for changed in [
        manifest.replace('\n', "\r\n"),
        manifest.replace('\n', "\n\n \t\r\n"),
        format!("\u{feff}{}", manifest.trim_end()),
        format!("\u{feff}\r\n{manifest}"),
    ] {
        fs::write(files.join("manifest.jsonl"), changed).unwrap();
        let other = Heap::new();
        assert_eq!(other.import(&files).unwrap().objects, 8);
        assert_eq!(described(&other), described(&heap));
    }
    let utf16: Vec<u8> = manifest.encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(files.join("manifest.jsonl"), utf16).unwrap();
    assert!(heap.import(&files).is_err());
    fs::write(files.join("manifest.jsonl"), b"{\"kind\": \"\xff\"}\n").unwrap();
    assert!(
        heap.import(&files)
            .unwrap_err()
            .to_string()
            .contains("line 1: it is not UTF-8")
    );
}

#[test]
fn errors_in_a_manifest_are_found_before_anything_is_stored() {
    let (other, error) = import_changed(|_, manifest| manifest.push_str("{}\n"));
    assert!(error.contains("line 9: missing field"), "{error}");
    assert_eq!(other.objects().count(), 0);
}

/// An import consists of many transactions: if only the last one failed, the others would stay.
#[test]
fn errors_at_the_end_of_a_long_export_are_found_before_anything_is_stored() {
    let (heap, folder) = (Heap::new(), TempDir::new().unwrap());
    heap.batch(|batch| {
        for number in 0..600 {
            batch.allocate(&number)?;
        }
        batch.store("theirs", Hold::Name("last"))
    })
    .unwrap();
    let files = folder.path().join("files");
    heap.export(&files).unwrap();
    let other = Heap::new();
    other.store("mine", Hold::Name("last")).unwrap();
    let error = other.import(&files).unwrap_err();
    assert!(
        matches!(error, Error::Transfer(TransferError::NameRefused { .. })),
        "{error}"
    );
    assert_eq!(other.objects().count(), 1);

    let mut manifest = fs::read_to_string(files.join("manifest.jsonl")).unwrap();
    manifest.push_str("{}\n");
    fs::write(files.join("manifest.jsonl"), manifest).unwrap();
    let other = Heap::new();
    assert!(other.import(&files).is_err());
    assert_eq!(other.objects().count(), 0);
}

#[test]
fn many_names_are_restored() {
    let (heap, folder) = (Heap::new(), TempDir::new().unwrap());
    let id = heap.allocate_bytes(b"content").unwrap();
    // Each byte takes six bytes in the manifest.
    let names: Vec<_> = (0..5000)
        .map(|number| format!("{number}-{}", "\u{1}".repeat(1000)))
        .collect();
    heap.batch(|batch| {
        for name in &names {
            batch.bind(name, &id)?;
        }
        batch.store_bytes(b"other", Hold::Name("other"))
    })
    .unwrap();
    let files = folder.path().join("files");
    heap.export(&files).unwrap();
    let manifest = fs::read_to_string(files.join("manifest.jsonl")).unwrap();
    assert!(manifest.lines().count() > 2 && manifest.lines().all(|line| line.len() < 16 << 20));
    let other = Heap::new();
    let imported = other.import(&files).unwrap();
    assert_eq!((imported.objects, imported.dedup_hits, imported.names), (2, 0, 5001));
    assert_eq!(imported.bytes, 12);
    assert_eq!(described(&other), described(&heap));
    let survey = MemManager::survey_export(&files).unwrap();
    assert_eq!((survey.objects, survey.names, survey.bytes), (2, 5001, 12));
    assert_balanced(&other);
}

/// An export of one object, with the right hash.
fn forged(kind: &str, content: &[u8], names: &[&str]) -> TempDir {
    let folder = TempDir::new().unwrap();
    let kind_of = Kind::ALL.into_iter().find(|of| of.as_str() == kind).unwrap();
    let mut hasher = heapledger::Hasher::new(kind_of);
    hasher.update(content);
    let line = serde_json::json!({
        "object_id": hasher.finish(), "kind": kind, "size": content.len(), "names": names, "held": names.is_empty(),
        "file": "content",
    });
    fs::write(folder.path().join("content"), content).unwrap();
    fs::write(folder.path().join("manifest.jsonl"), format!("{line}\n")).unwrap();
    folder
}

#[test]
fn content_invalid_for_its_kind_is_refused() {
    let heap = heap();
    let before = described(&heap);
    for (kind, content) in [
        ("int", b"hello".as_slice()),
        ("int", b"99999999999999999999999999"),
        ("int", b"007"),
        ("int", b"-0"),
        ("int", b""),
        ("float", b"NaN"),
        ("float", b"1"),
        ("float", b"1.50"),
        ("bool", b"maybe"),
        ("none", b"something"),
        ("str", b"caf\xe9 \xff\xfe"),
        ("str", b"cut \xe2\x82"),
        ("json", b"{\"a\":"),
        ("json", b"{ \"b\": 1, \"a\": 2 }"),
        ("json", b"{\"b\":1,\"a\":2}"),
        ("json", b"{\"a\":1,\"a\":2}"),
        ("json", b"1"),
        ("json", b"[1]x"),
    ] {
        let folder = forged(kind, content, &[]);
        let text = content.escape_ascii();
        match heap.import(folder.path()) {
            Err(Error::Transfer(TransferError::BadExport { why, .. })) => {
                assert!(why.contains(&format!("not of kind {kind}")), "{why}")
            }
            other => panic!("{kind} {text}: {other:?}"),
        }
    }
    assert_eq!(described(&heap), before);
    for (kind, content) in [
        ("int", b"18446744073709551615".as_slice()),
        ("float", b"1.5"),
        ("json", b"{\"a\":[]}"),
    ] {
        heap.import(forged(kind, content, &[]).path()).unwrap();
    }
    assert_balanced(&heap);
}

#[test]
fn content_that_cannot_fit_is_refused_unread() {
    let folder = forged("bytes", b"small", &[]);
    let content = fs::File::options()
        .write(true)
        .open(folder.path().join("content"))
        .unwrap();
    content.set_len(1 << 40).unwrap();
    let manifest = fs::read_to_string(folder.path().join("manifest.jsonl")).unwrap();
    let manifest = manifest.replace("\"size\":5", "\"size\":1099511627776");
    fs::write(folder.path().join("manifest.jsonl"), manifest).unwrap();
    let refused = Heap::new().import(folder.path());
    assert!(
        matches!(refused, Err(Error::OutOfMemory { needed, .. }) if needed == 1 << 40),
        "{refused:?}"
    );
}

#[test]
fn content_of_another_size_is_refused_unread() {
    let folder = forged("bytes", b"small", &[]);
    fs::File::options()
        .write(true)
        .open(folder.path().join("content"))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    let error = Heap::new().import(folder.path()).unwrap_err().to_string();
    assert!(error.contains("it has 1,099,511,627,776 bytes, not 5"), "{error}");
}

fn with(on_conflict: OnConflict) -> ImportOptions {
    ImportOptions::default().on_conflict(on_conflict)
}

#[test]
fn a_conflict_over_a_name_is_resolved_as_requested_and_repeatably() {
    let id = ObjectId::of_bytes(b"theirs");
    let renamed = format!("taken~{}", &id.to_hex()[..12]);
    for (on_conflict, taken, new, left_out) in [
        (OnConflict::Skip, b"mine".as_slice(), None, 1),
        (OnConflict::Replace, b"theirs", None, 0),
        (OnConflict::Rename, b"mine", Some(renamed.as_str()), 0),
    ] {
        let heap = Heap::new();
        let mine = heap.store_bytes(b"mine", Hold::Name("taken")).unwrap().id;
        let folder = forged("bytes", b"theirs", &["taken"]);
        let error = heap.import(folder.path()).unwrap_err();
        assert!(
            matches!(error, Error::Transfer(TransferError::NameRefused { .. })),
            "{error}"
        );
        assert_eq!(heap.objects().count(), 1, "nothing was stored");
        let imported = heap
            .import_with(folder.path(), with(on_conflict), &mut |_, _| {})
            .unwrap();
        assert_eq!(imported.left_out, left_out);
        let conflict = &imported.conflicts[0];
        assert_eq!((conflict.name.as_str(), conflict.action), ("taken", on_conflict));
        assert_eq!(conflict.bound_to, Some(mine));
        assert_eq!(conflict.renamed.as_deref(), new);
        assert_eq!(conflict.freed, on_conflict == OnConflict::Replace);
        let bound = heap.resolve("taken").unwrap().unwrap();
        assert_eq!(heap.get_bytes(&bound).unwrap(), taken);
        // Importing again changes nothing.
        let before = described(&heap);
        heap.import_with(folder.path(), with(on_conflict), &mut |_, _| {})
            .unwrap();
        assert_eq!(described(&heap), before, "{on_conflict:?}");
        assert_balanced(&heap);
    }
}

/// Skipped objects are counted, but not an object that got one of its names.
#[test]
fn skipped_objects_are_counted() {
    let (heap, folder) = (Heap::new(), TempDir::new().unwrap());
    for name in ["one", "two", "three"] {
        heap.store(name, Hold::Name(name)).unwrap();
    }
    let files = folder.path().join("files");
    heap.export(&files).unwrap();
    let manifest = fs::read_to_string(files.join("manifest.jsonl")).unwrap();
    // An object with many names has several lines.
    let several: Vec<_> = manifest
        .lines()
        .flat_map(|line| [line.to_owned(), line.replace("[\"three\"]", "[\"one\"]")])
        .collect();
    fs::write(files.join("manifest.jsonl"), several.join("\n") + "\n").unwrap();
    let other = Heap::new();
    other
        .batch(|batch| {
            let mine = batch.set("one", "mine")?.id;
            batch.bind("two", &mine)
        })
        .unwrap();
    let imported = other
        .import_with(&files, with(OnConflict::Skip), &mut |_, _| {})
        .unwrap();
    assert_eq!((imported.objects, imported.left_out), (1, 2), "{imported:#?}");
    assert_eq!(other.get_by_name::<String>("three").unwrap().as_deref(), Some("three"));
    assert_balanced(&other);
}

#[test]
fn an_object_without_holds_is_imported_and_held() {
    let folder = forged("bytes", b"theirs", &[]);
    let path = folder.path().join("manifest.jsonl");
    let manifest = fs::read_to_string(&path).unwrap();
    fs::write(&path, manifest.replace("\"held\":true", "\"held\":false")).unwrap();
    let heap = Heap::new();
    assert_eq!(heap.import(folder.path()).unwrap().objects, 1);
    assert!(heap.object(&ObjectId::of_bytes(b"theirs")).unwrap().held);
}

#[test]
fn importing_existing_objects_changes_nothing() {
    let (heap, folder) = (heap(), TempDir::new().unwrap());
    let files = folder.path().join("files");
    heap.export(&files).unwrap();
    let before = described(&heap);
    let imported = heap.import(&files).unwrap();
    assert_eq!(imported.dedup_hits, imported.objects);
    assert_eq!(imported.conflicts, []);
    assert_eq!(described(&heap), before);
    assert_balanced(&heap);
}

#[test]
fn an_object_that_loses_its_name_to_an_import_is_freed_only_without_other_holds() {
    let heap = Heap::new();
    let mine = heap.allocate_bytes(b"mine").unwrap();
    heap.bind("taken", &mine).unwrap();
    let folder = forged("bytes", b"theirs", &["taken"]);
    let imported = heap
        .import_with(folder.path(), with(OnConflict::Replace), &mut |_, _| {})
        .unwrap();
    assert!(!imported.conflicts[0].freed);
    assert_eq!(heap.get_bytes(&mine).unwrap(), b"mine");
    assert_balanced(&heap);
}

#[test]
fn a_replacement_name_uses_more_digits_if_shorter_ones_are_taken() {
    let id = ObjectId::of_bytes(b"theirs").to_hex();
    let heap = Heap::new();
    let short = format!("taken~{}", &id[..12]);
    for name in ["taken", &short] {
        heap.set(name, "mine").unwrap();
    }
    let folder = forged("bytes", b"theirs", &["taken"]);
    let imported = heap
        .import_with(folder.path(), with(OnConflict::Rename), &mut |_, _| {})
        .unwrap();
    let renamed = format!("taken~{}", &id[..32]);
    assert_eq!(imported.conflicts[0].renamed.as_ref(), Some(&renamed));
    assert_eq!(
        heap.get_bytes_by_name(&renamed).unwrap().as_deref(),
        Some(&b"theirs"[..])
    );
    assert_eq!(heap.get_by_name::<String>(&short).unwrap().as_deref(), Some("mine"));
}

#[test]
fn importing_stored_objects_needs_no_room() {
    let (heap, folder) = (Heap::new(), TempDir::new().unwrap());
    let id = heap.store_bytes(&content(1, 700 * KIB), Hold::Name("it")).unwrap().id;
    let files = folder.path().join("files");
    heap.export(&files).unwrap();
    heap.unbind("it").unwrap();
    heap.allocate_bytes(&content(1, 700 * KIB)).unwrap();
    assert_eq!(heap.import(&files).unwrap().dedup_hits, 1);
    assert_eq!(heap.resolve("it").unwrap(), Some(id));
}

#[test]
fn a_held_object_is_imported_even_if_its_names_are_skipped() {
    let (heap, folder) = (Heap::new(), TempDir::new().unwrap());
    let id = heap.allocate_bytes(b"theirs").unwrap();
    heap.bind("taken", &id).unwrap();
    let files = folder.path().join("files");
    heap.export(&files).unwrap();
    let other = Heap::new();
    let mine = other.store_bytes(b"mine", Hold::Name("taken")).unwrap().id;
    let imported = other
        .import_with(&files, with(OnConflict::Skip), &mut |_, _| {})
        .unwrap();
    assert_eq!((imported.objects, imported.names, imported.left_out), (1, 0, 0));
    assert_eq!(other.resolve("taken").unwrap(), Some(mine));
    assert!(other.object(&id).unwrap().held);
    assert_balanced(&other);
}

#[test]
fn an_invalid_name_is_resolved_too() {
    let (long, digits) = ("x".repeat(5000), "7".repeat(64));
    let folder = forged("bytes", b"theirs", &["", &long, "fine", "nul\0", &digits]);
    let heap = Heap::new();
    for on_conflict in [OnConflict::Refuse, OnConflict::Replace] {
        let refused = heap.import_with(folder.path(), with(on_conflict), &mut |_, _| {});
        assert!(
            matches!(refused, Err(Error::Transfer(TransferError::NameRefused { .. }))),
            "{refused:?}"
        );
    }
    let imported = heap
        .import_with(folder.path(), with(OnConflict::Rename), &mut |_, _| {})
        .unwrap();
    assert_eq!((imported.names, imported.conflicts.len()), (5, 4));
    let names = heap.names(&ObjectId::of_bytes(b"theirs")).unwrap();
    assert!(
        names.iter().any(|name| name.name.len() == 4096),
        "truncated to the longest valid name"
    );
    assert_balanced(&heap);
    let skipping = Heap::new();
    let imported = skipping
        .import_with(folder.path(), with(OnConflict::Skip), &mut |_, _| {})
        .unwrap();
    assert_eq!((imported.objects, imported.names, imported.left_out), (1, 1, 0));
}

#[test]
fn an_import_steals_no_name() {
    let (heap, folder) = (heap(), TempDir::new().unwrap());
    heap.export(folder.path().join("files")).unwrap();
    let other = Heap::new();
    let mine = other.store("mine", Hold::Name("greeting")).unwrap().id;
    let error = other.import(folder.path().join("files")).unwrap_err().to_string();
    assert!(error.contains("\"greeting\": it is bound to object"), "{error}");
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

/// As the documentation of `MemManager::backup` describes.
#[test]
fn a_dump_reloads_through_the_sqlite3_shell() {
    files_only!(Backup);
    if !possible("the sqlite3 shell", "sqlite3 --version") {
        return;
    }
    let (heap, folder) = (heap(), TempDir::new().unwrap());
    let dump = Command::new("sqlite3")
        .arg(heap.address())
        .arg(".dump")
        .output()
        .unwrap();
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
        let [ours, theirs] = [heap.address(), &new].map(|path| number(&sql(path), &format!("PRAGMA {pragma}")));
        assert_eq!(ours, theirs, "{pragma}");
    }
    let reloaded = quick().open(&new).unwrap();
    assert_eq!(described(&reloaded), described(&heap));
    assert_balanced(&reloaded);
    assert_sql_balanced(&sql(&new));
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
