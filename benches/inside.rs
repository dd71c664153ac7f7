//! The cost of heapledger's parts: `cargo bench --bench inside`.
//!
//! `compare` measures the same work on other stores.
#![allow(clippy::unwrap_used, reason = "a failure must end the measurement")]

use std::hint::black_box;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use fastrand::Rng;
use heapledger::{Durability, Error, MemManager, ObjectId};
use tempfile::TempDir;

fn main() {
    divan::main();
}

const SIZES: [usize; 4] = [20, 200, 4 << 10, 200 << 10];
const BATCH: usize = 1_000;
const SMALL: usize = 200;

/// A heap in a temporary folder.
struct Bench {
    memory: MemManager,
    rng: Rng,
    _folder: TempDir,
}

impl Bench {
    /// `Normal`, so that fsync does not hide the cost of the crate itself.
    fn new() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let options = MemManager::options().max_mem(1 << 40).durability(Durability::Normal);
        Self {
            memory: options.open(folder.path().join("heap.db")).unwrap(),
            rng: Rng::with_seed(0),
            _folder: folder,
        }
    }

    fn content(&mut self, size: usize) -> Vec<u8> {
        let mut content = vec![0; size];
        self.rng.fill(&mut content);
        content
    }

    fn contents(&mut self) -> Vec<Vec<u8>> {
        (0..BATCH).map(|_| self.content(SMALL)).collect()
    }

    fn put_batch(&self, contents: &[Vec<u8>]) -> Vec<ObjectId> {
        self.memory
            .batch(|b| contents.iter().map(|content| b.allocate_bytes(content)).collect())
            .unwrap()
    }
}

/// The id of bytes: SHA-256 alone.
#[divan::bench(args = SIZES)]
fn hash(bencher: Bencher<'_, '_>, size: usize) {
    let mut content = vec![0; size];
    Rng::with_seed(0).fill(&mut content);
    bencher
        .counter(BytesCount::new(size))
        .bench(|| ObjectId::of_bytes(black_box(&content)));
}

/// The id of a text: encoding and SHA-256.
#[divan::bench(args = SIZES)]
fn encode_text(bencher: Bencher<'_, '_>, size: usize) {
    let text = "a".repeat(size);
    bencher
        .counter(BytesCount::new(size))
        .bench(|| ObjectId::of(black_box(&text)).unwrap());
}

/// The id of a list of integers: canonical JSON and SHA-256.
#[divan::bench(args = [10, 1_000])]
fn encode_list(bencher: Bencher<'_, '_>, length: usize) {
    let list: Vec<usize> = (0..length).collect();
    bencher
        .counter(ItemsCount::new(length))
        .bench(|| ObjectId::of(black_box(&list)).unwrap());
}

/// Which class an object goes to.
#[divan::bench(args = SIZES)]
fn class_for(bencher: Bencher<'_, '_>, size: usize) {
    let geometry = heapledger::Geometry::standard();
    bencher.bench(|| geometry.class_for(black_box(size as u64)));
}

/// Hashing, object rows, placement and triggers of 1,000 objects, then rolled back: a batch put
/// without writing blocks, pieces and totals, and without COMMIT.
#[divan::bench]
fn put_batch_undone(bencher: Bencher<'_, '_>) {
    let mut bench = Bench::new();
    let contents = bench.contents();
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        bench.memory.batch(|b| {
            contents
                .iter()
                .try_for_each(|content| b.allocate_bytes(content).map(drop))?;
            Err::<(), _>(Error::ReadOnly)
        })
    });
}

/// 1,000 objects of 200 bytes in one transaction.
#[divan::bench]
fn put_batch(bencher: Bencher<'_, '_>) {
    let bench = std::cell::RefCell::new(Bench::new());
    bencher
        .counter(ItemsCount::new(BATCH))
        .with_inputs(|| bench.borrow_mut().contents())
        .bench_local_values(|contents| bench.borrow().put_batch(&contents));
}

/// The same 1,000 objects again; nothing is stored.
#[divan::bench]
fn put_batch_known(bencher: Bencher<'_, '_>) {
    let mut bench = Bench::new();
    let contents = bench.contents();
    bench.put_batch(&contents);
    bencher
        .counter(ItemsCount::new(BATCH))
        .bench_local(|| bench.put_batch(&contents));
}

/// One object in its own transaction.
#[divan::bench(args = SIZES)]
fn put(bencher: Bencher<'_, '_>, size: usize) {
    let bench = std::cell::RefCell::new(Bench::new());
    bencher
        .with_inputs(|| bench.borrow_mut().content(size))
        .bench_local_values(|content| bench.borrow().memory.allocate_bytes(&content).unwrap());
}

/// One of 1,000 objects, as bytes.
#[divan::bench(args = SIZES)]
fn get(bencher: Bencher<'_, '_>, size: usize) {
    let mut bench = Bench::new();
    let contents: Vec<_> = (0..BATCH).map(|_| bench.content(size)).collect();
    let ids = bench.put_batch(&contents);
    let mut next = ids.iter().cycle();
    bencher.bench_local(|| bench.memory.get_bytes(next.next().unwrap()).unwrap());
}

/// 1,000 objects of 200 bytes freed in one transaction, in random order.
#[divan::bench]
fn free_batch(bencher: Bencher<'_, '_>) {
    let bench = std::cell::RefCell::new(Bench::new());
    let fill = || {
        let mut bench = bench.borrow_mut();
        let contents = bench.contents();
        let mut ids = bench.put_batch(&contents);
        bench.rng.shuffle(&mut ids);
        ids
    };
    bencher
        .counter(ItemsCount::new(BATCH))
        .with_inputs(fill)
        .bench_local_values(|ids| {
            let bench = bench.borrow();
            bench
                .memory
                .batch(|b| ids.iter().try_for_each(|id| b.free(id).map(drop)))
                .unwrap();
        });
}
