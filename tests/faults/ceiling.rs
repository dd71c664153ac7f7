//! Guards against these failures: what a heap has on disk is at some moment more than its ceiling,
//! something is acknowledged that did not fit, or a full file can no longer be emptied.
//!
//! A thread watches the lengths of the files from outside while others write.

mod full;
mod others;
mod random;
mod set;
mod watch;
