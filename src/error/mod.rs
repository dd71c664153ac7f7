//! Errors: which there are, what each says, and what causes them.

mod advice;
mod causes;
mod classes;
mod expiry;
mod figures;
mod holder;
mod kinds;
mod message;
mod plan;
mod reservation;
mod server;
mod space;
mod transfer;

pub(crate) use causes::file_size_limit;
pub use expiry::ExpiryError;
pub(crate) use figures::grouped;
pub use holder::{HeldLog, LogHolder};
pub use kinds::Error;
pub use plan::PlanError;
pub use reservation::ReservationError;
pub use server::ServerError;
pub use space::SpaceError;
pub use transfer::TransferError;

/// The result of every fallible call.
pub type Result<T, E = Error> = std::result::Result<T, E>;
