//! Guards against these failures: a full disk of the server loses what was acknowledged, leaves half of a
//! unit of work, is taken for another error, or lets nothing be written after room was made.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use heapledger::{Error, Hold, MemManager, ObjectId, Result, ServerError};

use crate::common::{MIB, Sql, assert_balanced, content, options};
use crate::harness::{again_with_mounts, given, is_root, possible_mounts, skip};
use crate::own::OwnServer;
use crate::writers::{assert_stored_once, write_meanwhile};

const DISK: u64 = 40 * MIB;
const WRITERS: u64 = 3;

/// Runs a test of this file again, with a small disk.
fn on_a_small_disk(test: &str) {
    if !is_root() {
        // A server does not run as the root of a user namespace.
        skip("root", "to mount a small disk for a server");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().display();
    let mount = format!("mount -t tmpfs -o mode=777,size={DISK} none '{disk}'");
    if !possible_mounts("a small file system", &mount) {
        return;
    }
    let status = again_with_mounts(&mount, test)
        .env("HEAPLEDGER_DISK", folder.path())
        .status()
        .unwrap();
    assert!(status.success());
}

/// A file that takes all the room of a disk.
struct Ballast(PathBuf);

impl Ballast {
    fn fill(disk: &Path) -> Self {
        let path = disk.join("ballast");
        let mut file = File::create(&path).unwrap();
        let full = std::io::copy(&mut std::io::repeat(1).take(8 * DISK), &mut file);
        assert!(full.is_err(), "the disk has no end");
        Self(path)
    }

    fn remove(self) {
        std::fs::remove_file(self.0).unwrap();
    }
}

#[track_caller]
fn assert_full<R>(result: Result<R>) {
    let error = result.map(drop).unwrap_err();
    assert!(matches!(error, Error::Server(ServerError::Full { .. })), "{error:?}");
    let said = error.to_string();
    assert!(said.contains("pg_tblspc/") && said.contains("make room"), "{said}");
}

/// Stores until the disk is full, and returns what was acknowledged.
fn store_until_full(memory: &MemManager, writer: u64) -> Vec<ObjectId> {
    let mut stored = Vec::new();
    for round in 0.. {
        let seed = (writer << 32) + (round << 8);
        let result = match round % 3 {
            0 => memory.batch(|batch| {
                (seed..seed + 20)
                    .map(|seed| batch.allocate_bytes(&content(seed, 2000)))
                    .collect::<Result<Vec<_>>>()
            }),
            _ => memory.store_bytes(&content(seed, 3000), Hold::Anonymous).map(|stored| {
                assert!(!stored.dedup, "done twice");
                vec![stored.id]
            }),
        };
        match result {
            Ok(ids) => stored.extend(ids),
            Err(error) => {
                assert_full::<()>(Err(error));
                break;
            }
        }
    }
    stored
}

#[test]
fn nothing_acknowledged_is_lost_while_the_disk_of_a_server_is_full() {
    on_a_small_disk("full::a_tablespace");
}

#[test]
#[ignore = "the child process, on a separate disk"]
fn a_tablespace() {
    if given("HEAPLEDGER_DISK").is_some()
        && let Some(server) = OwnServer::start("")
    {
        fill_a_tablespace(&server);
    }
}

#[test]
fn a_full_disk_is_recognized_in_another_language() {
    on_a_small_disk("full::a_tablespace_in_german");
}

#[test]
#[ignore = "the child process, on a separate disk"]
fn a_tablespace_in_german() {
    if given("HEAPLEDGER_DISK").is_some()
        && let Some(server) = OwnServer::start_in_german()
    {
        fill_a_tablespace(&server);
    }
}

fn fill_a_tablespace(server: &OwnServer) {
    let disk = given("HEAPLEDGER_DISK").unwrap();
    let disk = Path::new(&disk);
    server.folder_on(disk, "data");
    let sql = Sql::at(Path::new(&format!("{}&schema=public", server.socket())));
    sql.execute(&format!(
        "CREATE TABLESPACE small LOCATION '{}'",
        disk.join("data").display()
    ));
    // This role may not choose the language.
    sql.execute("CREATE ROLE owner LOGIN");
    sql.execute("CREATE DATABASE heaps TABLESPACE small OWNER owner");
    let open = || {
        let address = server.socket().replace("///postgres", "///heaps");
        let address = address.replace("user=postgres", "user=owner");
        options().max_mem(512 * MIB).open(address).unwrap()
    };
    let heap = open();
    let mut stored = vec![heap.store_bytes(&content(1, 5000), Hold::Name("kept")).unwrap().id];
    let writers: Vec<_> = (1..=WRITERS).map(|_| open()).collect();
    let ballast = Ballast::fill(disk);
    let of_each = thread::scope(|scope| {
        let running: Vec<_> = (1..)
            .zip(&writers)
            .map(|(writer, memory)| scope.spawn(move || store_until_full(memory, writer)))
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect::<Vec<_>>()
    });
    stored.extend(of_each.into_iter().flatten());
    let large = content(2, 9 * MIB);
    assert_full(heap.store_bytes(&large, Hold::Anonymous));
    for id in &stored {
        assert_eq!(ObjectId::of_bytes(&heap.get_bytes(id).unwrap()), *id);
    }
    assert_eq!(heap.stats().unwrap().objects, stored.len() as u64);
    assert_balanced(&heap);

    ballast.remove();
    for (writer, memory) in (1..).zip(&writers) {
        stored.push(memory.store_bytes(&content(writer, 4000), Hold::Anonymous).unwrap().id);
    }
    stored.push(heap.store_bytes(&large, Hold::Anonymous).unwrap().id);
    let stats = heap.stats().unwrap();
    assert_eq!([stats.allocations, stats.objects], [stored.len() as u64; 2]);
    for id in &stored {
        assert!(heap.contains(id).unwrap(), "{id} is lost");
    }
    assert_balanced(&heap);
}

#[test]
fn a_server_that_stops_because_its_log_is_full_loses_nothing_acknowledged() {
    on_a_small_disk("full::a_log");
}

#[test]
#[ignore = "the child process, on a separate disk"]
fn a_log() {
    let Some(disk) = given("HEAPLEDGER_DISK") else { return };
    let disk = Path::new(&disk);
    let Some(server) = OwnServer::start_with_log("min_wal_size = 2MB\nmax_wal_size = 4MB", &disk.join("log")) else {
        return;
    };
    let open = || {
        options()
            .max_mem(512 * MIB)
            .busy_timeout(Duration::from_secs(60))
            .open(server.socket())
            .unwrap()
    };
    let heap = open();
    let count = write_meanwhile(WRITERS, 20_000, open, |has_failed| {
        let ballast = Ballast::fill(disk);
        while !server.log().contains("PANIC") && !has_failed() {
            thread::sleep(Duration::from_millis(20));
        }
        ballast.remove();
        // It may have ended, because it cannot recover without room.
        server.start_unless_running();
        thread::sleep(Duration::from_millis(300));
    });
    assert!(server.log().contains("No space left on device"));
    assert_stored_once(&heap, count);
}
