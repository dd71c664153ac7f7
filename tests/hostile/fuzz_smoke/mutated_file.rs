//! A heap file with changed bytes: opening and inspecting it must end in answers or errors.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::OnceLock;

use heapledger::{Durability, Hold, MemManager, ObjectId};

#[path = "input.rs"]
mod input;
use input::Input;

/// The intact file, made once.
fn specimen() -> &'static [u8] {
    static SPECIMEN: OnceLock<Vec<u8>> = OnceLock::new();
    SPECIMEN.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("heap.db");
        let memory = MemManager::options().max_mem(1 << 20).open(&path).unwrap();
        for (number, size) in [1, 100, 700, 3_000, 20_000].into_iter().enumerate() {
            memory
                .store_bytes(&vec![number as u8; size], Hold::Name(&format!("name {number}")))
                .unwrap();
        }
        memory.allocate(&("json", 1, 2.5)).unwrap();
        memory.collect_garbage().unwrap();
        drop(memory);
        std::fs::read(path).unwrap()
    })
}

/// Every three bytes of the input choose a byte of the file and its new value; if the first byte
/// is odd, the file is truncated as well.
pub fn run(input: &[u8]) {
    let mut input = Input(input);
    let mut file = specimen().to_vec();
    if input.byte() % 2 == 1 {
        let len = input.number() * file.len() / 65_536;
        file.truncate(len);
    }
    for _ in 0..64 {
        if input.is_empty() || file.is_empty() {
            break;
        }
        // Mostly close to the start of a page, where its structure is.
        let (at, value) = (input.number(), input.byte());
        let at = if at % 2 == 0 {
            at * 4096 + at / 64 % 200
        } else {
            at * file.len() / 65_536
        };
        let at = at % file.len();
        file[at] = value;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("heap.db");
    std::fs::write(&path, file).unwrap();
    look(&path, true);
    look(&path, false);
}

fn look(path: &Path, read_only: bool) {
    let options = MemManager::options()
        .durability(Durability::Normal)
        .read_only(read_only);
    let Ok(memory) = options.open(path) else { return };
    let whole = memory.check().is_ok_and(|found| found.is_empty());
    let _ = memory.stats();
    let _ = memory.trial_balance();
    let _ = memory.find("name 1");
    let _ = memory.entries().take(1_000).filter(Result::is_ok).count();
    for object in memory.objects().take(100).map_while(Result::ok) {
        let read = read(&memory, &object.id);
        assert!(
            !whole || read.is_ok(),
            "the check finds nothing, but {} cannot be read",
            object.id
        );
    }
    if !read_only {
        let _ = memory.allocate("one more").and_then(|id| memory.free(&id));
        let _ = memory.unbind("name 2");
        let _ = memory.collect_garbage();
    }
}

fn read(memory: &MemManager, id: &ObjectId) -> heapledger::Result<()> {
    if let Ok(mut reader) = memory.reader(id) {
        let mut some = [0; 16];
        let _ = reader
            .seek(SeekFrom::Start(reader.size() / 2))
            .and_then(|_| reader.read(&mut some));
    }
    let _ = memory.ledger(id);
    let _ = memory.get::<String>(id);
    memory.get_bytes(id).map(drop)
}
