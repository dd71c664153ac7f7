//! Stores of any type in one list.

use std::marker::PhantomData;
use std::path::Path;

use anyhow::Result;

use crate::cell::{Cell, Work};
use crate::store::{Durability, Store};
use crate::work::StoreTrial;

/// What one round of a work came to.
#[derive(Clone, Copy)]
pub struct Sample {
    /// Seconds for one operation; for [`Work::Space`] bytes on disk for each stored.
    pub figure: f64,
}

/// Someone who can be asked to do a work.
pub trait Contender {
    fn name(&self) -> &'static str;
    /// Can it do this work, with the durability that it asks for?
    fn can(&self, work: Work) -> bool;
    fn begin(&self, cell: &Cell, dir: &Path) -> Box<dyn Trial>;
}

/// A contender at one cell, round after round.
pub trait Trial {
    fn round(&mut self, round: usize) -> Result<Sample>;
}

/// A [`Store`] as a contender: the calls inside the clock stay static.
pub struct StoreContender<S>(PhantomData<S>);

impl<S: Store> StoreContender<S> {
    pub fn boxed() -> Box<dyn Contender> {
        Box::new(Self(PhantomData))
    }
}

impl<S: Store> Contender for StoreContender<S> {
    fn name(&self) -> &'static str {
        S::NAME
    }

    fn can(&self, work: Work) -> bool {
        let durable = S::HAS_FULL || work.durability() == Durability::Normal;
        durable && (S::HAS_READ_TX || work != Work::GetTx)
    }

    fn begin(&self, cell: &Cell, dir: &Path) -> Box<dyn Trial> {
        Box::new(StoreTrial::<S>::new(cell.at_most(S::AT_MOST), dir))
    }
}
