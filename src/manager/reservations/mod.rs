//! Reservations: bytes that are promised to content to come.

pub(in crate::manager) mod post;
pub(in crate::manager) mod reservation;
pub(in crate::manager) mod reserve;
