//! How many round trips operations take, because these decide how fast a heap on a distant server is.

use heapledger::{MemManager, ObjectId};

use crate::common::{Heap, content, on_server, options};
use crate::proxy::Proxy;
use crate::support::Cli;

/// Each operation once, with contents that depend on `seed`: its name, how many round trips it took, and how
/// many it may take.
fn operations(memory: &MemManager, proxy: &Proxy, seed: u64) -> Vec<(&'static str, usize, usize)> {
    let small = |number| content(seed * 10_000 + number, 200);
    let put = |content: &[u8]| memory.allocate_bytes(content).unwrap();
    // Blocks of this size get room.
    for number in 1..100 {
        put(&small(number));
    }
    let id = ObjectId::of_bytes(&small(0));
    let kept = put(&small(1));
    let large = content(seed, 1 << 20);
    let batch: Vec<_> = (100..1_100).map(small).collect();
    let mut trips = Vec::new();
    let value = memory.allocate(&seed).unwrap();
    let mut note = |what, most, work: &mut dyn FnMut()| {
        proxy.trips();
        work();
        trips.push((what, proxy.trips(), most));
    };
    note("put", 1, &mut || _ = put(&small(0)));
    note("put of known content", 2, &mut || _ = put(&small(0)));
    note("get", 1, &mut || assert_eq!(memory.get_bytes(&id).unwrap(), small(0)));
    let name = format!("name {seed}");
    note("get of a value", 1, &mut || {
        assert_eq!(memory.get::<u64>(&value).unwrap(), seed)
    });
    note("set", 2, &mut || _ = memory.set(&name, &(seed, 1)).unwrap());
    note("set again", 3, &mut || _ = memory.set(&name, &(seed, 2)).unwrap());
    note("bind", 3, &mut || _ = memory.bind("b", &kept).unwrap());
    note("resolve", 1, &mut || {
        assert_eq!(memory.resolve("b").unwrap(), Some(kept))
    });
    note("unbind", 2, &mut || _ = memory.unbind("b").unwrap());
    note("unbind, which frees", 3, &mut || _ = memory.unbind(&name).unwrap());
    note("free", 2, &mut || _ = memory.free(&id).unwrap());
    note("batch of 1,000", 10, &mut || {
        let put = |b: &mut heapledger::Batch<'_, '_>| {
            batch.iter().try_for_each(|content| b.allocate_bytes(content).map(drop))
        };
        memory.batch(put).unwrap();
    });
    note("put of 1 MiB", 2, &mut || _ = put(&large));
    note("get of 1 MiB", 1, &mut || {
        assert_eq!(memory.get_bytes(&ObjectId::of_bytes(&large)).unwrap(), large);
    });
    trips
}

#[test]
fn operations_take_few_round_trips() {
    if !on_server() {
        return;
    }
    let options = || options().max_mem(64 << 20);
    let heap = Heap::made(options());
    let proxy = Proxy::new(heap.place());
    let memory = options().open(proxy.address()).unwrap();
    // The first time, statements are prepared.
    for seed in 1..=3 {
        operations(&memory, &proxy, seed);
    }
    let trips = operations(&memory, &proxy, 4);
    let too_many: Vec<_> = trips.iter().filter(|(_, taken, most)| taken > most).collect();
    assert!(too_many.is_empty(), "too many of {trips:?}");
}

#[test]
fn a_command_opens_the_heap_once() {
    if !on_server() {
        return;
    }
    let heap = Heap::new();
    let proxy = Proxy::new(heap.place());
    let db = proxy.address().to_str().unwrap();
    let id = heap.allocate_bytes(b"kept").unwrap().to_hex();
    let cli = Cli::new();
    let trips = |(command, most): (&[&str], usize)| {
        proxy.trips();
        cli.ok(&[&["--db", db], command].concat(), &[]);
        (command[0].to_owned(), proxy.trips(), most)
    };
    // About 15 are for opening the heap.
    let commands: [(&[&str], usize); 4] = [
        (&["show", &id], 32),
        (&["name", &id, "a"], 37),
        (&["pin", "a"], 30),
        (&["set", "b", "1"], 52),
    ];
    let trips = commands.map(trips);
    assert!(
        trips.iter().all(|(_, taken, most)| taken <= most),
        "too many of {trips:?}"
    );
}
