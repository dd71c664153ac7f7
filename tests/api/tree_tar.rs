//! Trees of files as tars, and what files are besides their contents.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::common::{Heap, MIB, assert_balanced, content};
use heapledger::{
    Error, Geometry, Hold, MemManager, SaveTreeOptions, SavedTree, StoreTarOptions, StoredTar, TarStream, name_of_path,
};
use proptest::prelude::*;
use tempfile::TempDir;

fn heap() -> Heap {
    Heap::of(64 * MIB, Geometry::standard())
}

/// What is below a folder: what it is with its permissions, and its content or target.
fn tree(folder: &Path) -> BTreeMap<PathBuf, (String, Vec<u8>)> {
    let mut found = BTreeMap::new();
    for entry in walkdir::WalkDir::new(folder).min_depth(1) {
        let entry = entry.unwrap();
        let (path, about) = (entry.path(), entry.path().symlink_metadata().unwrap());
        let mode = about.mode() & 0o7777;
        let described = match about.file_type() {
            kind if kind.is_dir() && fs::read_dir(path).unwrap().next().is_some() => continue,
            kind if kind.is_dir() => (format!("folder {mode:o}"), Vec::new()),
            kind if kind.is_symlink() => {
                let target = path.read_link().unwrap().into_os_string().into_encoded_bytes();
                ("link".to_owned(), target)
            }
            _ => (format!("file {mode:o}"), fs::read(path).unwrap()),
        };
        found.insert(path.strip_prefix(folder).unwrap().to_owned(), described);
    }
    found
}

fn run(folder: &Path, args: &[&str], input: &[u8]) -> Vec<u8> {
    let mut command = Command::new("tar");
    let piped = command.args(args).current_dir(folder).stdin(Stdio::piped());
    let mut child = piped.stdout(Stdio::piped()).spawn().unwrap();
    let (mut stdin, input) = (child.stdin.take().unwrap(), input.to_vec());
    let writing = std::thread::spawn(move || stdin.write_all(&input));
    let mut output = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut output).unwrap();
    let _ = writing.join().unwrap();
    assert!(child.wait().unwrap().success(), "tar {args:?}");
    output
}

fn packed(memory: &MemManager, prefix: &str, options: SaveTreeOptions) -> (Vec<u8>, SavedTree) {
    let mut tar = Vec::new();
    let saved = memory.save_tree_tar(prefix, &mut tar, options, &mut |_, _| {}).unwrap();
    (tar, saved)
}

fn store(memory: &MemManager, tar: &[u8], options: &StoreTarOptions) -> Result<(StoredTar, Vec<String>), Error> {
    let mut told = Vec::new();
    let mut tell = |member: heapledger::UnstoredMember| {
        told.push(format!("{}: {}", member.path.display(), member.why));
    };
    let stored = memory.store_tar(TarStream::open(tar)?, options, &mut tell, &mut |_, _| {})?;
    Ok((stored, told))
}

fn all() -> StoreTarOptions {
    StoreTarOptions::default().attributes(true)
}

fn attributes() -> SaveTreeOptions {
    SaveTreeOptions::default().attributes(true)
}

/// Files of many sizes and permissions, odd and long names, links and empty folders.
fn made(folder: &Path) {
    for (number, name) in [
        "a",
        "100%",
        "deep/er/file",
        "ünï/x y\n",
        &format!("long/{}/{}", "n".repeat(200), "m".repeat(255)),
    ]
    .into_iter()
    .enumerate()
    {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content(number as u64, number as u64 * 511)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode([0o644, 0o600, 0o755][number % 3])).unwrap();
    }
    fs::write(folder.join(OsStr::from_bytes(b"\xff\xfe")), "odd").unwrap();
    fs::write(folder.join("large"), content(9, 10_000_000)).unwrap();
    fs::create_dir_all(folder.join("empty/inner")).unwrap();
    fs::set_permissions(folder.join("empty/inner"), fs::Permissions::from_mode(0o711)).unwrap();
    symlink("deep/er", folder.join("link")).unwrap();
    symlink("../a", folder.join("deep/up")).unwrap();
    symlink(format!("{}x", "./".repeat(100)), folder.join("dangling")).unwrap();
}

#[test]
fn a_tree_goes_through_gnu_tar_and_back() {
    let (folder, heap) = (TempDir::new().unwrap(), heap());
    let path = |name: &str| folder.path().join(name);
    made(&path("src"));
    let posix = Heap::of(64 * MIB, Geometry::standard());
    // The crate reads extended headers by lines, so there a name with a line break is not stored.
    for (format, to, failed) in [("--format=gnu", &heap, 0), ("--format=posix", &posix, 1)] {
        let tar = run(folder.path(), &[format, "-c", "src"], b"");
        let (stored, told) = store(to, &tar, &all()).unwrap();
        assert_eq!((stored.names, stored.failed), (11, failed), "{told:?}");
    }
    let (tar, saved) = packed(&heap, "src", attributes());
    assert_eq!((saved.files, saved.links, saved.folders), (7, 3, 1));
    assert_eq!(saved.skipped, []);
    assert_eq!(
        tar,
        packed(&heap, "src", attributes()).0,
        "the same state gives the same bytes"
    );
    fs::create_dir(path("out")).unwrap();
    run(&path("out"), &["-xp"], &tar);
    assert_eq!(tree(&path("out")), tree(&path("src")));

    let saved = heap
        .save_tree_with("src", path("saved"), attributes(), &mut |_, _| {})
        .unwrap();
    assert_eq!((saved.links, saved.folders, saved.skipped), (3, 1, vec![]));
    assert_eq!(tree(&path("saved")), tree(&path("src")));
    // Again over what is there.
    let options = attributes().replace(true);
    let saved = heap
        .save_tree_with("src", path("saved"), options, &mut |_, _| {})
        .unwrap();
    assert_eq!(saved.skipped, []);
    assert_eq!(tree(&path("saved")), tree(&path("src")));
    assert_balanced(&heap);
}

#[test]
fn without_attributes_there_are_files_and_the_rest_is_reported() {
    let (folder, heap) = (TempDir::new().unwrap(), heap());
    made(&folder.path().join("src"));
    let tar = run(folder.path(), &["-c", "src"], b"");
    let (stored, told) = store(&heap, &tar, &StoreTarOptions::default().prefix("p/")).unwrap();
    assert_eq!((stored.names, stored.skipped, stored.failed, told.len()), (7, 3, 0, 3));
    assert!(told.iter().all(|told| told.ends_with("a symbolic link")), "{told:?}");
    assert_eq!(heap.tag_values().unwrap(), []);
    assert!(heap.resolve("p/src/deep/er/file").unwrap().is_some());

    store(&heap, &tar, &all()).unwrap();
    let (_, saved) = packed(&heap, "src", SaveTreeOptions::default());
    assert_eq!((saved.files, saved.skipped.len()), (7, 4));
    let again = folder.path().join("again");
    let saved = heap.save_tree("src", &again).unwrap();
    assert_eq!((saved.files, saved.skipped.len()), (7, 4));
    assert!(!again.join("link").exists());
}

#[test]
fn links_that_may_lead_outside_are_made_only_if_asked_for_and_never_followed() {
    let (folder, heap) = (TempDir::new().unwrap(), heap());
    let (to, outside) = (folder.path().join("to"), folder.path().join("outside"));
    fs::create_dir(&outside).unwrap();
    let link = |name: &str, target: &str| {
        let hold = Hold::Name(name).tag("file-type", "link");
        heap.store_bytes(target.as_bytes(), hold).unwrap();
    };
    link("t/abs", outside.to_str().unwrap());
    link("t/up", "../outside");
    link("t/d/up", "..");
    link("t/taken", "d");
    link("t/nothing", "");
    link("t/nul", "a\0b");
    heap.store_bytes(b"x", Hold::Name("t/up/file").tag("file-mode", "4755"))
        .unwrap();
    heap.store_bytes(b"x", Hold::Name("t/taken/file")).unwrap();
    heap.store_bytes(
        b"",
        Hold::Name("t/empty")
            .tag("file-type", "folder")
            .tag("file-mode", "0500"),
    )
    .unwrap();
    heap.store_bytes(b"in it", Hold::Name("t/empty/file")).unwrap();

    let why = |saved: &SavedTree| -> Vec<_> {
        let skipped = saved.skipped.iter();
        skipped
            .map(|skipped| format!("{}: {}", skipped.name, skipped.why))
            .collect()
    };
    let saved = heap.save_tree_with("t", &to, attributes(), &mut |_, _| {}).unwrap();
    let expected = [
        "t/abs: it is a link that may lead outside",
        "t/nothing: its content is not the target of a link",
        "t/nul: its content is not the target of a link",
        "t/taken: a folder is there",
        "t/up: it is a link that may lead outside",
    ];
    let mut found = why(&saved);
    found.sort();
    let found: Vec<_> = found
        .iter()
        .map(|told| told.replace("it exists", "a folder is there"))
        .collect();
    assert_eq!(found, expected);
    assert_eq!(
        fs::metadata(to.join("up/file")).unwrap().mode() & 0o7777,
        0o755,
        "without setuid"
    );
    assert_eq!(fs::metadata(to.join("empty")).unwrap().mode() & 0o777, 0o500);
    assert_eq!(fs::read(to.join("empty/file")).unwrap(), b"in it");
    fs::set_permissions(to.join("empty"), fs::Permissions::from_mode(0o700)).unwrap();

    let (tar, saved) = packed(&heap, "t", attributes());
    let mut found = why(&saved);
    found.sort();
    assert_eq!(found, expected);
    let unpacked = folder.path().join("unpacked");
    fs::create_dir(&unpacked).unwrap();
    run(&unpacked, &["-x"], &tar);
    assert_eq!(fs::read(unpacked.join("up/file")).unwrap(), b"x");

    fs::remove_dir_all(&to).unwrap();
    let options = attributes().any_links(true);
    let saved = heap.save_tree_with("t", &to, options, &mut |_, _| {}).unwrap();
    assert_eq!(saved.links, 2);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    fs::set_permissions(to.join("empty"), fs::Permissions::from_mode(0o700)).unwrap();
}

fn header(kind: tar::EntryType, path: &[u8], size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.as_mut_bytes()[..path.len()].copy_from_slice(path);
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o4777);
    header.set_cksum();
    header
}

/// A tar of these members; each of a size has that many zeros as content.
fn hostile(members: &[(tar::EntryType, &[u8], &str)]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (kind, path, target) in members {
        let mut header = header(*kind, path, 0);
        header.as_mut_bytes()[157..157 + target.len()].copy_from_slice(target.as_bytes());
        header.set_cksum();
        tar.extend_from_slice(header.as_bytes());
    }
    tar.resize(tar.len() + 1024, 0);
    tar
}

#[test]
fn hostile_members_are_reported_and_the_others_are_stored() {
    use tar::EntryType as Kind;
    let heap = heap();
    let long = [b'x'; 100];
    let tar = hostile(&[
        (Kind::Regular, b"fine", ""),
        (Kind::Regular, b"/abs", ""),
        (Kind::Regular, b"../up", ""),
        (Kind::Regular, b"a/../../up", ""),
        (Kind::Regular, b"", ""),
        (Kind::Block, b"device", ""),
        (Kind::Fifo, b"pipe", ""),
        (Kind::Link, b"again", "fine"),
        (Kind::Link, b"lost", "nothing"),
        (Kind::Link, b"out", "/etc/passwd"),
        (Kind::Symlink, b"link", "/etc/passwd"),
        (Kind::Directory, b"./", ""),
        (Kind::Directory, b"folder/", ""),
        (Kind::Directory, b"full/", ""),
        (Kind::Regular, b"full/\xff", ""),
        (Kind::Regular, &long, ""),
        (Kind::new(b'M'), b"volume", ""),
    ]);
    let (stored, told) = store(&heap, &tar, &all()).unwrap();
    assert_eq!(
        told,
        [
            "/abs: its path is absolute",
            "../up: its path has .. in it",
            "a/../../up: its path has .. in it",
            ": its path is empty",
            "device: it is a device",
            "pipe: it is a pipe",
            "lost: it is a link to nothing, which is not stored",
            "out: its path is absolute",
            "volume: it is neither a file nor a folder nor a link",
        ]
    );
    assert_eq!((stored.names, stored.failed, stored.skipped), (6, 6, 3));
    let names: Vec<_> = heap.names_with_prefix("").map(|name| name.unwrap()).collect();
    let names: Vec<_> = names.iter().map(|name| (name.name.as_str(), name.tags.len())).collect();
    let long = "x".repeat(100);
    let expected = [
        ("again", 1),
        ("fine", 1),
        ("folder", 2),
        ("full/%FF", 1),
        ("link", 1),
        (&long, 1),
    ];
    assert_eq!(names, expected);
    assert_eq!(heap.tags("fine").unwrap()["file-mode"], "0777");
}

#[test]
fn a_tar_that_lies_stops_and_what_came_before_stays() {
    use tar::EntryType as Kind;
    let start = hostile(&[(Kind::Regular, b"fine", "")]);
    let start = &start[..512];
    let mut damaged = header(Kind::Regular, b"x", 5).as_bytes().to_vec();
    damaged[0] = b'y';
    for (size, rest, what) in [
        (5_000_000_u64, vec![7; 100], "too early"),
        (20_000_000, vec![7; 12_000_000], "too early"),
        (1 << 40, vec![7; 1000], "out of memory"),
        (u64::MAX, vec![], "size overflow"),
        (0, damaged, "damaged before byte"),
        (0, vec![1; 100], "too early"),
        // No mark of the end.
        (0, vec![], "too early"),
    ] {
        let heap = heap();
        let tar = [start, header(Kind::Regular, b"lie", size).as_bytes(), &rest].concat();
        let error = store(&heap, &tar, &all()).unwrap_err().to_string();
        assert!(error.contains(what), "{size}: {error}");
        assert!(heap.resolve("fine").unwrap().is_some());
        assert_balanced(&heap);
    }
}

#[test]
fn sparse_files_are_stored_whole_or_reported() {
    let (folder, heap) = (TempDir::new().unwrap(), heap());
    let mut file = fs::File::create(folder.path().join("sparse")).unwrap();
    file.set_len(3_000_000).unwrap();
    file.write_all(b"begin").unwrap();
    drop(file);
    let tar = run(folder.path(), &["-c", "-S", "--format=gnu", "sparse"], b"");
    assert!(tar.len() < 1_000_000);
    store(&heap, &tar, &all()).unwrap();
    assert_eq!(
        heap.get_bytes_by_name("sparse").unwrap().unwrap(),
        fs::read(folder.path().join("sparse")).unwrap()
    );
    let tar = run(folder.path(), &["-c", "-S", "--format=posix", "sparse"], b"");
    let (stored, told) = store(&heap, &tar, &all()).unwrap();
    assert_eq!(stored.failed, 1);
    assert!(told[0].contains("--sparse"), "{told:?}");
}

#[test]
fn names_that_no_tar_can_have_together_are_reported() {
    let heap = heap();
    for name in ["a", "a-b", "a/b", "a/b/c", "a0", "/abs", "d/e", "d//f"] {
        heap.store_bytes(name.as_bytes(), Hold::Name(name)).unwrap();
    }
    let (tar, saved) = packed(&heap, "", SaveTreeOptions::default());
    let skipped: Vec<_> = saved.skipped.iter().map(|skipped| skipped.name.as_str()).collect();
    assert_eq!(skipped, ["/abs", "a/b", "a/b/c", "d//f"]);
    let folder = TempDir::new().unwrap();
    let listed = String::from_utf8(run(folder.path(), &["-t"], &tar)).unwrap();
    assert_eq!(listed, "a\na-b\na0\nd/e\n");
}

proptest! {
    #![proptest_config(crate::common::cases(24))]

    #[test]
    fn any_names_come_back_through_a_tar(
        paths in prop::collection::btree_set(
            prop::collection::vec(prop::collection::vec(1_u8..=255, 1..120), 1..4), 1..8
        ),
    ) {
        let is_part = |part: &Vec<u8>| !part.contains(&b'/') && !matches!(part.as_slice(), b"." | b"..");
        prop_assume!(paths.iter().flatten().all(is_part));
        let path = |parts: &Vec<Vec<u8>>| parts.iter().map(|part| OsStr::from_bytes(part)).collect::<PathBuf>();
        let names: Vec<_> = paths.iter().map(|parts| name_of_path(&path(parts)).unwrap()).collect();
        prop_assume!(names.iter().all(|name| name.parse::<heapledger::ObjectId>().is_err()));
        let (one, other) = (Heap::new(), Heap::new());
        for name in &names {
            one.store_bytes(name.as_bytes(), Hold::Name(name)).unwrap();
        }
        let (tar, saved) = packed(&one, "", SaveTreeOptions::default());
        let (stored, told) = store(&other, &tar, &StoreTarOptions::default()).unwrap();
        prop_assert_eq!((stored.names, told), (saved.files, vec![]));
        let skipped: Vec<_> = saved.skipped.iter().map(|skipped| &skipped.name).collect();
        let kept = one.names_with_prefix("").map(|name| name.unwrap());
        let kept: Vec<_> = kept.filter(|name| !skipped.contains(&&name.name)).map(|name| (name.name, name.object_id)).collect();
        let found: Vec<_> = other.names_with_prefix("").map(|name| name.unwrap()).map(|name| (name.name, name.object_id)).collect();
        prop_assert_eq!(found, kept);
    }
}
