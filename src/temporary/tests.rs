use super::*;

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn temporary(folder: &Path) -> Temporary {
    Temporary::within(folder, String::new).unwrap()
}

/// What a killed process leaves: the folder without the lock.
fn left_behind(folder: &Path, system: &str) -> PathBuf {
    let path = folder.join(format!("{PREFIX}{system}-abcDE1"));
    fs::create_dir(&path).unwrap();
    fs::write(path.join("heap.db-journal"), "half").unwrap();
    path
}

#[test]
fn only_folders_of_dead_processes_are_swept() {
    let folder = tempfile::tempdir().unwrap();
    let living = temporary(folder.path());
    fs::write(living.path("file"), "half").unwrap();
    let dead = left_behind(folder.path(), system());
    let others = [
        ".heapledger-notes",
        ".heapledger-12345678-short",
        ".heapledger-",
        "heap.db",
    ];
    for other in others {
        fs::write(folder.path().join(other), "mine").unwrap();
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink("/nowhere", folder.path().join(format!("{PREFIX}{}-abcDE2", system()))).unwrap();
    let before = names(folder.path()).len();
    sweep(folder.path());
    assert!(!dead.exists());
    assert_eq!(names(folder.path()).len(), before - 1);
    assert_eq!(fs::read(living.path("file")).unwrap(), b"half");
}

#[test]
fn folders_of_another_system_are_left_for_a_day() {
    let folder = tempfile::tempdir().unwrap();
    let path = left_behind(folder.path(), "00000000");
    sweep(folder.path());
    assert!(path.exists());
    let opened = File::open(&path).unwrap();
    let then = std::time::SystemTime::now() - 2 * ABANDONED;
    opened.set_times(fs::FileTimes::new().set_modified(then)).unwrap();
    sweep(folder.path());
    assert!(path.exists(), "a file in it is new");
    let file = File::options().write(true).open(path.join("heap.db-journal")).unwrap();
    file.set_times(fs::FileTimes::new().set_modified(then)).unwrap();
    sweep(folder.path());
    assert!(!path.exists());
}

#[test]
fn a_complete_file_stays_and_the_rest_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("to");
    let made = temporary(folder.path());
    for name in ["file", "file-wal"] {
        fs::write(made.path(name), "whole").unwrap();
    }
    made.persist_new("file", &to).unwrap().unwrap();
    assert_eq!(names(folder.path()), ["to"]);
    let again = temporary(folder.path());
    fs::write(again.path("file"), "other").unwrap();
    let refused = again.persist_new("file", &to).unwrap().unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(
        (names(folder.path()), fs::read(&to).unwrap()),
        (vec!["to".into()], b"whole".into())
    );
}
