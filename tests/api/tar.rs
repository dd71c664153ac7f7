//! Exports as tars, there and back, and tars that lie.

use std::collections::BTreeMap;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::common::{Heap, KIB, MIB, assert_balanced, content, quick};
use heapledger::{Error, Hold, ImportOptions, Imported, MemManager, OnConflict, TarStream};
use tempfile::TempDir;

fn heap() -> Heap {
    let heap = Heap::of(64 * MIB, heapledger::Geometry::standard());
    let day = Duration::from_secs(24 * 60 * 60);
    let big = heap.store_bytes(&content(1, 300 * KIB), Hold::Name("photos/one.jpg"));
    heap.bind("second \"name\"\n", &big.unwrap().id).unwrap();
    heap.store_bytes(&content(2, 10 * MIB), Hold::Name("film").tag("owner", "ann"))
        .unwrap();
    heap.allocate_bytes(b"").unwrap();
    heap.store("text", Hold::Anonymous.expires_in(day).tag("job", "7"))
        .unwrap();
    heap.store("text", Hold::Name("greeting").expires_in(day)).unwrap();
    heap.set("list", &vec![1, 2, 3]).unwrap();
    heap.allocate(&2.5).unwrap();
    heap.allocate(&()).unwrap();
    heap
}

fn export(memory: &MemManager) -> Vec<u8> {
    let mut tar = Vec::new();
    memory.export_tar(&mut tar, &mut |_, _| {}).unwrap();
    tar
}

fn import(memory: &MemManager, tar: &[u8]) -> Result<Imported, Error> {
    memory.import_tar(TarStream::open(tar)?, ImportOptions::default(), &mut |_, _| {})
}

/// The manifest without the columns that a copy has anew: what is there of objects, names, holds and tags.
fn described(memory: &MemManager) -> BTreeMap<String, String> {
    let folder = TempDir::new().unwrap();
    let to = folder.path().join("files");
    memory.export(&to).unwrap();
    let manifest = std::fs::read_to_string(to.join("manifest.jsonl")).unwrap();
    let lines = manifest.lines().map(|line| {
        let parsed: serde_json::Value = serde_json::from_str(line).unwrap();
        (parsed["object_id"].as_str().unwrap().to_owned(), line.to_owned())
    });
    lines.collect()
}

fn run(program: &str, args: &[&str], folder: &TempDir, input: &[u8]) -> Vec<u8> {
    let mut command = Command::new(program);
    let piped = command.args(args).current_dir(folder.path()).stdin(Stdio::piped());
    let mut child = piped.stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writing = std::thread::spawn(move || std::io::Write::write_all(&mut stdin, &input));
    let mut output = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut output).unwrap();
    let _ = writing.join().unwrap();
    assert!(child.wait().unwrap().success(), "{program} {args:?}");
    output
}

#[test]
fn a_tar_carries_everything_that_the_folder_does() {
    let heap = heap();
    let tar = export(&heap);
    assert_eq!(tar, export(&heap), "the same state gives the same bytes");
    let other = Heap::of(64 * MIB, heapledger::Geometry::standard());
    let imported = import(&other, &tar).unwrap();
    assert_eq!((imported.objects, imported.names, imported.dedup_hits), (7, 5, 0));
    assert_eq!(described(&other), described(&heap));
    assert_balanced(&other);
    assert_eq!(import(&other, &tar).unwrap().dedup_hits, 7);

    let folder = TempDir::new().unwrap();
    run("tar", &["-x"], &folder, &tar);
    let unpacked = Heap::of(64 * MIB, heapledger::Geometry::standard());
    unpacked.import(folder.path()).unwrap();
    assert_eq!(described(&unpacked), described(&heap));
    // The whole folder in a tar, as long as its files are in order.
    let args = ["-c", "--transform", "s,^,files/,", "manifest.jsonl", "-T", "-"];
    let listed = run("tar", &["-t"], &folder, &tar);
    let rest = listed.splitn(2, |byte| *byte == b'\n').nth(1).unwrap();
    let again = run("tar", &args, &folder, rest);
    let other = Heap::of(64 * MIB, heapledger::Geometry::standard());
    assert_eq!(import(&other, &again).unwrap().objects, 7);
    let posix = run("tar", &[&["--format=posix"], &args[..]].concat(), &folder, rest);
    assert_eq!(import(&other, &posix).unwrap().dedup_hits, 7);
}

#[test]
fn only_the_objects_of_the_space_are_read() {
    let heap = Heap::new();
    heap.store_bytes(b"mine", Hold::Name("mine")).unwrap();
    let other = quick().space("other").max_mem(MIB).open(heap.address()).unwrap();
    other.store_bytes(b"theirs", Hold::Name("theirs")).unwrap();
    for (memory, name) in [(&*heap, "mine"), (&other, "theirs")] {
        let copy = Heap::new();
        assert_eq!(import(&copy, &export(memory)).unwrap().objects, 1);
        assert!(copy.resolve(name).unwrap().is_some());
    }
}

#[test]
fn a_damaged_object_leaves_a_tar_without_an_end() {
    let heap = Heap::new();
    heap.allocate_bytes(b"fine").unwrap();
    heap.allocate_bytes(b"damaged").unwrap();
    heap.sql()
        .damage("UPDATE ledger SET data = zeroblob(7) WHERE allocated_mem = 7");
    let mut tar = Vec::new();
    let error = heap.export_tar(&mut tar, &mut |_, _| {}).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    let copy = Heap::new();
    let error = import(&copy, &tar).unwrap_err().to_string();
    assert!(error.contains("have the id") || error.contains("too early"), "{error}");
    assert_balanced(&copy);
}

#[test]
fn names_that_are_taken_are_found_before_anything_is_stored() {
    let (heap, other) = (heap(), Heap::of(64 * MIB, heapledger::Geometry::standard()));
    let tar = export(&heap);
    other.set("list", "mine").unwrap();
    let error = import(&other, &tar).unwrap_err();
    assert!(
        matches!(&error, Error::Transfer(heapledger::TransferError::NameRefused { name, .. }) if name == "list"),
        "{error}"
    );
    assert_eq!(other.objects().count(), 1);
    let options = ImportOptions::default().on_conflict(OnConflict::Skip);
    let from = TarStream::open(&*tar).unwrap();
    let imported = other.import_tar(from, options, &mut |_, _| {}).unwrap();
    assert_eq!((imported.objects, imported.left_out), (6, 1));
    assert_balanced(&other);
}

#[test]
fn a_tar_that_ends_too_early_can_be_imported_again() {
    let heap = heap();
    let tar = export(&heap);
    let other = Heap::of(64 * MIB, heapledger::Geometry::standard());
    for end in [
        1,
        511,
        700,
        1024,
        5_000,
        300_000,
        400_000,
        tar.len() - 1024,
        tar.len() - 1025,
    ] {
        let error = import(&other, &tar[..end]).unwrap_err().to_string();
        let expected = if end < 512 { "not a tar" } else { "too early" };
        assert!(error.contains(expected), "{end}: {error}");
        assert_balanced(&other);
    }
    assert_eq!(import(&other, &tar).unwrap().objects, 7);
    assert_eq!(described(&other), described(&heap));
}

#[test]
fn what_is_not_an_export_is_refused_in_words() {
    let heap = heap();
    let other = Heap::new();
    let folder = TempDir::new().unwrap();
    std::fs::create_dir_all(folder.path().join("tree/sub")).unwrap();
    std::fs::write(folder.path().join("tree/sub/file"), "x").unwrap();
    let plain = run("tar", &["-c", "tree"], &folder, b"");
    let zipped = run("gzip", &["-c"], &folder, &plain);
    let mut broken = export(&heap);
    broken[600] ^= 1;
    let mut header = export(&heap);
    header[3] ^= 1;
    let mut lie = export(&heap);
    let at = lie.len() - 600;
    lie[at] ^= 1;
    for (tar, what) in [
        (&b""[..], "it is empty"),
        (b"hello", "it is not a tar"),
        (&[b'x'; 5000], "it is not a tar"),
        (&zipped, "it is compressed; pass it through `gzip -dc`"),
        (&[0; 1024], "it has no files"),
        (&plain, "it begins with tree/sub/file, and not with manifest.jsonl"),
        (&broken, "line 1"),
        (&header, "it is not a tar"),
    ] {
        let error = import(&other, tar).unwrap_err().to_string();
        assert!(error.contains(what), "{what}: {error}");
        assert_eq!(other.objects().count(), 0);
    }
}

/// A hostile header must not let the library have as much in memory as it says.
#[test]
fn a_name_without_an_end_is_refused() {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_size(1 << 40);
    header.set_cksum();
    let endless = header.as_bytes().chain(std::io::repeat(b'x'));
    let from = TarStream::open(endless).unwrap();
    let heap = Heap::new();
    let error = heap.import_tar(from, ImportOptions::default(), &mut |_, _| {});
    let error = error.unwrap_err().to_string();
    assert!(error.contains("a name in it is too long"), "{error}");
}
