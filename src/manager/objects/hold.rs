//! Holds.

#[cfg(doc)]
use crate::error::Error;
#[cfg(doc)]
use crate::manager::MemManager;

/// What keeps an object alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold<'a> {
    /// The anonymous hold, of which an object has at most one; [`MemManager::release`] drops it.
    Anonymous,
    /// A name to bind to the object. If another object has it, it moves, and that object is freed
    /// if nothing else holds it.
    Name(&'a str),
    /// A name that must not be bound yet, not even to the same object; otherwise the call fails
    /// with [`Error::NameTaken`] and stores nothing.
    NewName(&'a str),
}
