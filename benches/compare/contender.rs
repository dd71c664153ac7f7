//! A trait object over stores of any type.

use std::marker::PhantomData;
use std::path::Path;

use crate::cell::{Cell, Work};
use crate::store::{Durability, Store};
use crate::trial::Trial;
use crate::work::StoreTrial;

/// A store that can be asked to do a work.
pub trait Contender {
    fn name(&self) -> &'static str;
    /// Whether it can do this work with the required durability.
    fn can(&self, cell: &Cell) -> bool;
    fn begin(&self, cell: &Cell, dir: &Path) -> Box<dyn Trial>;
}

/// A [`Store`] as a contender. Measured calls are still dispatched statically.
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

    fn can(&self, cell: &Cell) -> bool {
        let durable = S::HAS_FULL || cell.durability == Durability::Normal;
        durable && (S::HAS_READ_TX || cell.work != Work::GetTx)
    }

    fn begin(&self, cell: &Cell, dir: &Path) -> Box<dyn Trial> {
        Box::new(StoreTrial::<S>::new(cell.at_most(S::AT_MOST), dir))
    }
}
