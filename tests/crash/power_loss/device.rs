//! A disk that retains synced writes and loses everything else.

use std::path::Path;
use std::process::Command;

use super::{expected, found, operate, operations_in};
use crate::common::{assert_balanced, files_only, options};
use crate::harness::{Talk, again_with_mounts, given, given_number, listen, possible, say};
use heapledger::Durability;
use tempfile::{TempDir, tempdir};

const OPERATIONS: u64 = 20;
/// Written but never synced, to show that the disk really loses writes.
const UNSYNCED: &[u8] = &[b'x'; 4000];

#[test]
#[ignore = "the process that writes, on a separate file system"]
fn writer() {
    let Some(mounted) = given("HEAPLEDGER_MOUNTED") else {
        return;
    };
    let mounted = Path::new(&mounted);
    let durability = match given("HEAPLEDGER_FULL") {
        Some(_) => Durability::Full,
        None => Durability::Normal,
    };
    let memory = options().durability(durability).open(mounted.join("heap.db")).unwrap();
    for number in 0..OPERATIONS {
        operate(&memory, number);
        std::fs::write(mounted.join(format!("unsynced {number}")), UNSYNCED).unwrap();
        say(&format!("done {number}"));
        listen();
    }
}

#[test]
#[ignore = "the process that inspects what the power loss left"]
fn reader() {
    let Some(mounted) = given("HEAPLEDGER_MOUNTED") else {
        return;
    };
    let mounted = Path::new(&mounted);
    let unsynced = std::fs::read(mounted.join(format!("unsynced {}", given_number("HEAPLEDGER_LAST"))));
    let lost = unsynced.map_or(true, |left| left != UNSYNCED);
    let path = mounted.join("heap.db");
    if !path.exists() {
        say(&format!("found 0 {lost}"));
        return;
    }
    let memory = options().open(path).unwrap();
    assert_balanced(&memory);
    say(&format!("found {} {lost}", operations_in(&found(&memory), OPERATIONS)));
    // The heap still works.
    memory.allocate("life goes on").unwrap();
    assert_balanced(&memory);
}

struct Disk {
    dir: TempDir,
}

impl Disk {
    fn new() -> Option<Self> {
        let dir = tempdir().unwrap();
        let disk = Self { dir };
        let make = format!(
            "cd '{}'; mkdir mounted; truncate -s 24M image; mkfs.ext4 -q -F image; \
             unshare --mount --propagation private mount -o loop image mounted",
            disk.dir.path().display()
        );
        possible("a file system in an image file", &make).then_some(disk)
    }

    fn on(&self, image: &str, test: &str) -> Command {
        let dir = self.dir.path().display();
        let mounted = self.dir.path().join("mounted");
        let mut command = again_with_mounts(&format!("mount -o loop '{dir}/{image}' '{}'", mounted.display()), test);
        command.env("HEAPLEDGER_MOUNTED", mounted);
        command
    }

    /// Runs every operation, with a power loss after each. Returns how many operations survived
    /// each loss.
    fn lose_power_after_each(&self, full: bool) -> Vec<u64> {
        let mut command = self.on("image", "power_loss::device::writer");
        if full {
            command.env("HEAPLEDGER_FULL", "1");
        }
        let mut writer = Talk::start(command);
        let mut left = Vec::new();
        let mut lost_something = false;
        for number in 0..OPERATIONS {
            assert_eq!(writer.hear("done"), Some(number.to_string()));
            let (operations, lost) = self.look(number);
            left.push(operations);
            lost_something |= lost;
            writer.say("go on");
        }
        assert!(writer.end());
        // A busy system occasionally writes unsynced data by itself.
        assert!(lost_something, "this disk loses nothing, so it proves nothing");
        left
    }

    /// How many operations survive a loss now, and whether something unsynced was lost.
    fn look(&self, last: u64) -> (u64, bool) {
        let copied = Command::new("cp")
            .current_dir(self.dir.path())
            .args(["--sparse=always", "image", "copy"])
            .status();
        assert!(copied.unwrap().success());
        let mut command = self.on("copy", "power_loss::device::reader");
        command.env("HEAPLEDGER_LAST", last.to_string());
        let mut reader = Talk::start(command);
        let heard = reader
            .hear("found")
            .unwrap_or_else(|| panic!("the heap left after operation {last} is damaged"));
        let (operations, lost) = heard.split_once(' ').unwrap();
        let found = (operations.parse().unwrap(), lost == "true");
        assert!(reader.end(), "the heap left after operation {last} does not work");
        found
    }
}

#[test]
fn full_durability_loses_nothing_acknowledged() {
    files_only!(Medium);
    let Some(disk) = Disk::new() else { return };
    let left = disk.lose_power_after_each(true);
    assert_eq!(left, (1..=OPERATIONS).collect::<Vec<_>>());
    println!("{} power losses, no acknowledged operation missing", left.len());
}

#[test]
fn normal_durability_loses_at_most_the_newest_operations() {
    files_only!(Medium);
    let Some(disk) = Disk::new() else { return };
    let left = disk.lose_power_after_each(false);
    for (number, &operations) in left.iter().enumerate() {
        assert!(operations <= number as u64 + 1);
    }
    // A later loss leaves at least as much as an earlier one, and a collection syncs everything
    // before it.
    assert!(left.is_sorted(), "{left:?}");
    assert!(left[15] >= 16, "{left:?}");
    assert!(!expected(left[15]).is_empty());
    let newest: u64 = left.iter().zip(1..).map(|(left, done)| done - left).sum();
    println!(
        "{} power losses left {left:?} operations: {newest} newest ones lost in all, no damage",
        left.len()
    );
}
