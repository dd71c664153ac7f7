//! Streaming: objects are stored from a reader and read through one, without ever being in
//! memory as a whole.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};

use crate::common::{Heap, KIB, MIB, assert_balanced, content, dump};
use heapledger::{Allocation, Error, Geometry, Hold, Kind, MemManager, ObjectId, SizeClass};
use proptest::prelude::*;

/// Returns its bytes in small and uneven portions, then fails or ends.
struct Source {
    bytes: Cursor<Vec<u8>>,
    portion: usize,
    fails: bool,
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.portion = self.portion * 7 % 1009 + 1;
        let wanted = self.portion.min(buffer.len());
        match self.bytes.read(&mut buffer[..wanted])? {
            0 if self.fails && !buffer.is_empty() => Err(io::Error::other("the line was cut")),
            read => Ok(read),
        }
    }
}

fn source(bytes: Vec<u8>, fails: bool) -> Source {
    let bytes = Cursor::new(bytes);
    Source {
        bytes,
        portion: 3,
        fails,
    }
}

#[test]
fn a_stream_is_stored_like_its_bytes() {
    let heap = Heap::new();
    for size in [0, 1, 511, 70_001, 300 * KIB] {
        let bytes = content(size, size);
        let id = heap.allocate_from(source(bytes.clone(), false)).unwrap();
        assert_eq!(id, ObjectId::of_bytes(&bytes));
        assert_eq!(heap.get_bytes(&id).unwrap(), bytes);
        assert_eq!(heap.object(&id).unwrap().kind, Kind::Bytes);
    }
    assert_balanced(&heap);
}

#[test]
fn a_file_is_stored_without_a_copy_of_it() {
    let heap = Heap::new();
    let bytes = content(1, 600_000);
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bytes).unwrap();
    file.rewind().unwrap();
    let stored = heap.store_file(&mut file, Hold::Name("file")).unwrap();
    assert_eq!(
        (stored.id, stored.size, stored.dedup),
        (ObjectId::of_bytes(&bytes), 600_000, false)
    );
    assert_eq!(stored.pieces, heap.ledger(&stored.id).unwrap().len() as u64);
    assert_eq!(heap.get_bytes(&stored.id).unwrap(), bytes);
    assert_eq!(heap.resolve("file").unwrap(), Some(stored.id));
    assert_balanced(&heap);
}

#[test]
fn a_source_that_fails_halfway_leaves_nothing() {
    let heap = Heap::new();
    let kept = heap.store("kept", Hold::Name("it")).unwrap().id;
    let before = dump(&heap.sql());
    for size in [0, 1, 400_000] {
        for hold in [Hold::Anonymous, Hold::Name("it")] {
            let error = heap.store_from(source(content(1, size), true), hold).unwrap_err();
            assert!(matches!(error, Error::Io { .. }), "{error}");
            assert!(error.to_string().contains("the line was cut"), "{error}");
        }
    }
    assert_eq!(dump(&heap.sql()), before);
    assert_eq!(heap.resolve("it").unwrap(), Some(kept));
    assert_balanced(&heap);
}

#[test]
fn a_stream_that_does_not_fit_is_refused_and_leaves_nothing() {
    let heap = Heap::new();
    heap.allocate_bytes(&content(1, MIB - 1000)).unwrap();
    let before = dump(&heap.sql());
    let error = heap.allocate_from(source(content(2, 1001), false)).unwrap_err();
    assert!(matches!(error, Error::OutOfMemory { available: 1000, .. }), "{error}");
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&content(2, 1001)).unwrap();
    file.rewind().unwrap();
    let error = heap.store_file(&mut file, Hold::Anonymous).unwrap_err();
    assert!(
        matches!(
            error,
            Error::OutOfMemory {
                needed: 1001,
                available: 1000,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(dump(&heap.sql()), before);
    heap.allocate_from(source(content(3, 1000), false)).unwrap();
    assert_balanced(&heap);
}

/// Endless zeros; fails once far more was read than the space can hold.
struct Endless {
    left: u64,
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = (buffer.len() as u64).min(self.left);
        self.left -= read;
        buffer[..read as usize].fill(0);
        if read == 0 {
            Err(io::Error::other("the source was read on and on"))
        } else {
            Ok(read as usize)
        }
    }
}

/// Fails once, as after a signal, before it returns its bytes.
struct Interrupted(Option<io::ErrorKind>, Source);

impl Read for Interrupted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.take() {
            Some(kind) => Err(kind.into()),
            None => self.1.read(buffer),
        }
    }
}

#[test]
fn an_interrupted_read_of_a_source_is_retried() {
    let heap = Heap::new();
    let bytes = content(1, 3000);
    let source = Interrupted(Some(io::ErrorKind::Interrupted), source(bytes.clone(), false));
    let id = heap.allocate_from(source).unwrap();
    assert_eq!(heap.get_bytes(&id).unwrap(), bytes);
}

#[test]
fn an_unavailable_name_is_refused_before_anything_is_read() {
    let heap = Heap::new();
    heap.set("taken", "it").unwrap();
    // Fails if it is read.
    let unread = || source(Vec::new(), true);
    let refused = heap.store_from(unread(), Hold::NewName("taken"));
    assert!(matches!(refused, Err(Error::NameTaken { .. })), "{refused:?}");
    let refused = heap.store_from(unread(), Hold::Name(""));
    assert!(matches!(refused, Err(Error::BadName { .. })), "{refused:?}");
}

#[test]
fn a_source_without_end_is_refused_soon() {
    let heap = Heap::new();
    let error = heap.allocate_from(Endless { left: 64 * MIB }).unwrap_err();
    assert!(matches!(error, Error::OutOfMemory { .. }), "{error}");
    assert_balanced(&heap);
}

#[test]
fn a_reader_knows_its_size_and_reads_from_the_start() {
    let heap = Heap::new();
    let bytes = content(1, 10_000);
    let id = heap.allocate_bytes(&bytes).unwrap();
    let mut reader = heap.reader(&id).unwrap();
    assert_eq!(reader.size(), 10_000);
    let mut read = Vec::new();
    reader.read_to_end(&mut read).unwrap();
    assert_eq!(read, bytes);
    assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0, "the end stays the end");
}

#[test]
fn a_value_of_any_kind_has_a_reader_of_its_content() {
    let heap = Heap::new();
    let mut text = String::new();
    let id = heap.allocate(&["a", "b"]).unwrap();
    heap.reader(&id).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, r#"["a","b"]"#);
    let empty = heap.allocate("").unwrap();
    assert_eq!(heap.reader(&empty).unwrap().read(&mut [0; 8]).unwrap(), 0);
}

#[test]
fn a_reader_of_an_unknown_object_is_an_error() {
    let heap = Heap::new();
    let missing = ObjectId::of_bytes(b"missing");
    assert!(matches!(heap.reader(&missing), Err(Error::NotStored { id, .. }) if id == missing));
}

/// What a reader returns after `change` has happened to its object.
fn read_on_after(change: impl FnOnce(&MemManager, &ObjectId)) -> io::Result<Vec<u8>> {
    let heap = Heap::of(16 * MIB, Geometry::standard());
    // More than what is read at once.
    let id = heap.allocate_bytes(&content(1, 3_000_000)).unwrap();
    let mut reader = heap.reader(&id).unwrap();
    reader.read_exact(&mut [0; 10]).unwrap();
    change(&heap, &id);
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest)?;
    Ok(rest)
}

#[test]
fn a_reader_of_a_freed_object_fails() {
    let freed = read_on_after(|heap, id| drop(heap.free(id).unwrap()));
    assert!(freed.is_err());
}

#[test]
fn a_reader_of_a_damaged_object_says_so() {
    let damage = |statement: &'static str| {
        let heap = Heap::new();
        let id = heap.allocate_bytes(&content(1, 600 * KIB)).unwrap();
        heap.sql().execute(statement);
        let mut read = Vec::new();
        let error = heap.reader(&id).unwrap().read_to_end(&mut read).unwrap_err();
        let error = error.downcast::<Error>().unwrap();
        let expected = format!("object {id} from {} on are missing", read.len());
        assert!(
            matches!(&error, Error::Damaged { what } if what.contains(&expected)),
            "{error:?}"
        );
        read.len() as u64
    };
    assert_eq!(damage("DELETE FROM ledger WHERE seq = 0"), 0);
    assert_eq!(damage("DELETE FROM ledger WHERE seq = 1"), 256 * KIB);
    assert_eq!(damage("UPDATE stored_objects SET size = size + 1"), 600 * KIB);
}

#[test]
fn a_reader_never_reads_an_object_that_replaced_its_own() {
    let replaced = read_on_after(|heap, id| {
        heap.free(id).unwrap();
        heap.collect_garbage().unwrap();
        heap.allocate_bytes(&content(2, 500_000)).unwrap();
    });
    assert!(replaced.is_err());
}

#[test]
fn a_reader_continues_while_other_objects_come_and_go() {
    let rest = read_on_after(|heap, _| {
        let other = heap.allocate_bytes(&content(2, 100_000)).unwrap();
        heap.free(&other).unwrap();
        heap.collect_garbage().unwrap();
    });
    assert_eq!(rest.unwrap(), content(1, 3_000_000)[10..]);
}

#[test]
fn a_seek_before_the_start_is_refused_and_one_beyond_the_end_reads_nothing() {
    let heap = Heap::new();
    let id = heap.allocate_bytes(&content(1, 1000)).unwrap();
    let mut reader = heap.reader(&id).unwrap();
    reader.seek(SeekFrom::Start(10)).unwrap();
    assert!(reader.seek(SeekFrom::Current(-11)).is_err());
    assert!(reader.seek(SeekFrom::End(-1001)).is_err());
    assert_eq!(reader.stream_position().unwrap(), 10, "a refused seek does not move");
    assert_eq!(reader.seek(SeekFrom::End(5)).unwrap(), 1005);
    assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
    assert_eq!(reader.seek(SeekFrom::Start(u64::MAX)).unwrap(), u64::MAX);
    assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
    assert!(reader.seek(SeekFrom::Current(1)).is_err());
}

/// Blocks so small that an object has hundreds of pieces.
fn tiny_blocks() -> Geometry {
    Geometry::new(
        960,
        4,
        vec![SizeClass {
            block_size: 12,
            pool_size: 96,
        }],
    )
    .unwrap()
}

#[derive(Debug, Clone)]
enum Move {
    Read(usize),
    Start(u64),
    Current(i64),
    End(i64),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        4 => (0usize..6000).prop_map(Move::Read),
        1 => (0u64..12_000).prop_map(Move::Start),
        1 => (-12_000i64..12_000).prop_map(Move::Current),
        1 => (-12_000i64..2000).prop_map(Move::End),
    ];
    prop::collection::vec(one, 1..40)
}

proptest! {
    #![proptest_config(crate::common::cases(32))]

    #[test]
    fn a_reader_behaves_like_a_cursor_over_the_bytes(size in 0u64..10_000, shared in 0u64..2000, tiny in any::<bool>(), moves in moves()) {
        let heap = if tiny { Heap::of(20_000, tiny_blocks()) } else { Heap::new() };
        heap.allocate_bytes(&content(1, shared)).unwrap();
        let bytes = content(2, size);
        let id = heap.allocate_bytes(&bytes).unwrap();
        let mut reader = heap.reader(&id).unwrap();
        let mut cursor = Cursor::new(&bytes);
        for one in moves {
            match one {
                Move::Read(length) => {
                    let (mut found, mut wanted) = (Vec::new(), Vec::new());
                    (&mut reader).take(length as u64).read_to_end(&mut found).unwrap();
                    (&mut cursor).take(length as u64).read_to_end(&mut wanted).unwrap();
                    prop_assert_eq!(found, wanted);
                }
                Move::Start(at) => prop_assert_eq!(reader.seek(SeekFrom::Start(at)).ok(), cursor.seek(SeekFrom::Start(at)).ok()),
                Move::Current(by) => prop_assert_eq!(reader.seek(SeekFrom::Current(by)).ok(), cursor.seek(SeekFrom::Current(by)).ok()),
                Move::End(by) => prop_assert_eq!(reader.seek(SeekFrom::End(by)).ok(), cursor.seek(SeekFrom::End(by)).ok()),
            }
        }
    }
}

/// A stream, a file, and their readers.
#[test]
fn a_batch_streams_in_its_own_transaction_and_reads_what_it_has_stored() {
    let heap = Heap::new();
    let (old, bytes, other) = (content(1, 200_000), content(2, 600_001), content(3, 90_000));
    let before = heap.allocate_bytes(&old).unwrap();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&other).unwrap();
    file.rewind().unwrap();
    let (stored, filed) = heap
        .batch(|batch| {
            assert!(format!("{batch:?}").starts_with("Batch"));
            let stored = batch.store_from(source(bytes.clone(), false), Hold::Name("stream"))?;
            let filed = batch.store_file(&mut file, Hold::NewName("file"))?;
            assert_eq!(batch.allocate_from(source(bytes.clone(), false))?, stored.id);
            assert!(!heap.contains(&stored.id)?, "it is seen before it is committed");
            for (id, wanted) in [(before, &old), (stored.id, &bytes), (filed.id, &other)] {
                let mut reader = batch.reader(&id)?;
                assert_eq!(reader.size(), wanted.len() as u64);
                assert!(format!("{reader:?}").starts_with("BatchReader"));
                let mut read = Vec::new();
                reader.read_to_end(&mut read).unwrap();
                assert!(read == *wanted);
                reader.seek(SeekFrom::End(-5)).unwrap();
                read.clear();
                reader.read_to_end(&mut read).unwrap();
                assert_eq!(read, wanted[wanted.len() - 5..]);
                assert_eq!(reader.seek(SeekFrom::Start(70_000)).unwrap(), 70_000);
                let mut one = [0];
                reader.read_exact(&mut one).unwrap();
                assert_eq!(one[0], wanted[70_000]);
            }
            assert_eq!(batch.get_bytes_by_name("file")?.as_ref(), Some(&other));
            assert_eq!(batch.get_bytes_by_name("missing")?, None);
            assert_eq!(batch.object(&filed.id)?.size, 90_000);
            batch.free(&before)?;
            assert!(matches!(batch.reader(&before), Err(Error::NotStored { .. })));
            Ok((stored, filed))
        })
        .unwrap();
    assert_eq!(
        (stored.id, filed.id),
        (ObjectId::of_bytes(&bytes), ObjectId::of_bytes(&other))
    );
    assert!(heap.get_bytes(&stored.id).unwrap() == bytes);
    assert_eq!(heap.resolve("file").unwrap(), Some(filed.id));
    assert!(!heap.contains(&before).unwrap());
    assert_balanced(&heap);
}

#[test]
fn a_batch_continues_after_a_source_failed() {
    let heap = Heap::of(MIB, tiny_blocks());
    heap.store("taken", Hold::Name("taken")).unwrap();
    let kept = heap
        .batch(|batch| {
            let failed = batch.store_from(source(content(1, 100_000), true), Hold::Anonymous);
            assert!(matches!(failed, Err(Error::Io { .. })));
            let large = batch.store_from(io::repeat(7), Hold::Anonymous);
            assert!(matches!(large, Err(Error::OutOfMemory { .. })));
            // The source is not even read.
            let taken = batch.store_from(source(Vec::new(), true), Hold::NewName("taken"));
            assert!(matches!(taken, Err(Error::NameTaken { .. })));
            let unnamed = batch.store_from(source(Vec::new(), true), Hold::Name(""));
            assert!(matches!(unnamed, Err(Error::BadName { length: 0 })));
            batch.allocate_from(&b"kept"[..])
        })
        .unwrap();
    assert_eq!(heap.get_bytes(&kept).unwrap(), b"kept");
    assert_eq!(heap.stats().unwrap().objects, 2);
    assert_balanced(&heap);
}

#[test]
fn a_stream_in_a_batch_is_rolled_back_with_it() {
    let heap = Heap::new();
    let before = dump(&heap.sql());
    let failed: Result<(), Error> = heap.batch(|batch| {
        batch.store_from(source(content(1, 400_000), false), Hold::Name("it"))?;
        // A source of the batch can read the heap but not write to it.
        struct Writing<'a>(&'a MemManager);
        impl Read for Writing<'_> {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                assert_eq!(self.0.resolve("it").unwrap(), None);
                Err(io::Error::other(self.0.allocate("inside").unwrap_err()))
            }
        }
        batch.allocate_from(Writing(&heap)).map(drop)
    });
    let error = failed.unwrap_err();
    assert!(error.to_string().contains("would wait for itself"), "{error}");
    assert_eq!(dump(&heap.sql()), before);
}

#[test]
fn a_file_that_was_refused_can_be_stored_again() {
    let heap = Heap::new();
    heap.store_bytes(b"the old report", Hold::Name("report")).unwrap();
    let bytes = content(1, 600_000);
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&[&b"head"[..], &bytes].concat()).unwrap();
    // Of the same size, so that the file is read before it is refused.
    let filler = heap.allocate_bytes(&content(2, 600_000)).unwrap();
    type Store = fn(&MemManager, &mut File) -> Result<Allocation, Error>;
    let ways: [Store; 3] = [
        |heap, file| heap.store_file(file, Hold::Name("report")),
        |heap, file| heap.batch(|batch| Ok(batch.store_file(file, Hold::Name("report"))))?,
        |heap, file| {
            let reserved = heap.reserve(10).make()?;
            reserved.post_file(file, Hold::Name("report"))
        },
    ];
    for store in ways {
        file.seek(SeekFrom::Start(4)).unwrap();
        store(&heap, &mut file).unwrap_err();
        assert_eq!(file.stream_position().unwrap(), 4);
    }
    heap.free(&filler).unwrap();
    let stored = heap.store_file(&mut file, Hold::Name("report")).unwrap();
    assert_eq!(heap.get_bytes(&stored.id).unwrap(), bytes);
}
