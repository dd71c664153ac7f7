//! Storing from asynchronous tasks: calls block, so each runs on tokio's threads for that.
//!
//! `cargo run --example tokio`

use heapledger::MemManager;
use tokio::task::{JoinSet, spawn_blocking};

/// Any error of a task.
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(run())
}

async fn run() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("heap.db");
    let memory = spawn_blocking(move || MemManager::options().max_mem(1 << 20).open(path)).await??;

    // Writers that are there at the same time share a commit.
    let mut tasks = JoinSet::new();
    for number in 0..20_i64 {
        let memory = memory.clone();
        tasks.spawn_blocking(move || memory.set(&format!("square/{number}"), &(number * number)));
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }

    let reader = memory.clone();
    let square = spawn_blocking(move || reader.get_by_name::<i64>("square/7")).await??;
    assert_eq!(square, Some(49));
    println!("7 * 7 = {square:?}; {} objects", memory.stats()?.objects);
    Ok(())
}
