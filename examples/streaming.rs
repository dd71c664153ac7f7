//! Stores a large object from a reader and reads it through one, in constant memory.
//!
//! `cargo run --example streaming`

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use heapledger::{Hasher, Hold, Kind, MemManager};

const SIZE: u64 = 32 * 1024 * 1024;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let heap = MemManager::options()
        .max_mem(2 * SIZE)
        .open(folder.path().join("heap.db"))?;

    // From any reader, of unknown length: a pipe, a download, a decoder.
    let source = io::repeat(b'x').take(SIZE);
    let stored = heap.store_from(source, Hold::Name("from a reader"))?;
    println!("{} bytes in {} pieces as {}", stored.size, stored.pieces, stored.id);

    // As the program makes it. Nobody sees it before `finish`.
    let mut writer = heap.writer(Hold::Name("from a program"))?;
    for number in 0..1_000_000 {
        writeln!(writer, "line {number:07}")?;
    }
    let lines = writer.finish()?;
    println!("{} bytes in {} pieces as {}", lines.size, lines.pieces, lines.id);

    // From a file, whose size is known: all of its room is promised before the first part is stored.
    let path = folder.path().join("lines");
    io::copy(&mut heap.reader(&lines.id)?, &mut File::create_new(&path)?)?;
    let file = heap.store_file(&mut File::open(path)?, Hold::Name("from a file"))?;
    assert!(file.dedup);

    // To any writer. This one hashes, and arrives at the object's id.
    let mut check = HashWriter(Hasher::new(Kind::Bytes));
    io::copy(&mut heap.reader(&stored.id)?, &mut check)?;
    assert_eq!(check.0.finish(), stored.id);

    // Or only a part: after a seek, only the needed pieces are read.
    let mut reader = heap.reader(&lines.id)?;
    let mut line = [0; 13];
    reader.seek(SeekFrom::Start(123_456 * 13))?;
    reader.read_exact(&mut line)?;
    print!("in the middle: {}", str::from_utf8(&line)?);
    assert_eq!(&line, b"line 0123456\n");
    Ok(())
}

struct HashWriter(Hasher);

impl Write for HashWriter {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        self.0.update(part);
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
