//! Takes in reports of unknown content: room is reserved before the work begins, and a worker that
//! crashed and comes again learns whether its report is stored.
//!
//! `cargo run --example reserve`

use std::time::Duration;

use heapledger::{Error, Hold, MemManager, ObjectId, ReservationState};

/// The most that a report may have.
const LARGEST: u64 = 100_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let heap = MemManager::options()
        .max_mem(250_000)
        .open(folder.path().join("heap.db"))?;

    let first = report(&heap, 1)?;
    println!(
        "report 1 is {first}, and {} bytes are available again",
        heap.stats()?.available
    );

    // The second worker crashes after it has reserved; a third one still finds room.
    reserve(&heap, 2)?;
    report(&heap, 3)?;

    // A fourth one is told before it begins who has the bytes, instead of when its work is done.
    heap.allocate_bytes(&[0; 100_000])?;
    if let Err(refused) = reserve(&heap, 4) {
        println!("report 4: {refused}");
    }

    // The second one comes again. Its room is still there, and if it comes once more, its report is
    // stored already.
    let second = report(&heap, 2)?;
    assert_eq!(report(&heap, 2)?, second);
    println!("report 2 is {second}");
    Ok(())
}

fn reserve(heap: &MemManager, number: u32) -> Result<heapledger::Reservation, Error> {
    let key = format!("report {number}");
    heap.reserve(LARGEST)
        .key(key)
        .expires_in(Duration::from_secs(60))
        // If an earlier worker came too late, its key may be used again.
        .again()
        .make()
}

/// Works on a report, unless that was done before, and stores it.
fn report(heap: &MemManager, number: u32) -> Result<ObjectId, Error> {
    let reservation = reserve(heap, number)?;
    if let (ReservationState::Posted, Some(id)) = (reservation.state, reservation.object_id) {
        return Ok(id);
    }
    let work = format!("the work of report {number}\n").repeat(1000);
    let name = format!("report {number}");
    Ok(reservation.post_bytes(work.as_bytes(), Hold::Name(&name))?.id)
}
