//! What keeps an object alive.

#[cfg(doc)]
use crate::error::Error;
#[cfg(doc)]
use crate::manager::MemManager;

/// What keeps an object alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold<'a> {
    /// The anonymous hold, of which an object has one: [`MemManager::release`] lets it go.
    Anonymous,
    /// A name, which is bound to the object. If another object has it, it moves, and
    /// that object is freed when nothing else holds it.
    Name(&'a str),
    /// A name that is not bound yet, not even to the same object; else
    /// [`Error::NameTaken`], and nothing is stored.
    NewName(&'a str),
}
