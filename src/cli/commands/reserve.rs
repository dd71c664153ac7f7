//! `heapledger reserve`, `heapledger void`, and the list of reservations

use std::time::Duration;

use anyhow::Result;
use heapledger::{
    Error, MemManager, ObjectId, Reservation, ReservationError, ReservationId, ReservationInfo, ReservationState,
};
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::globals::Making;
use crate::cli::input::{parse, when};
use crate::cli::output::render::{Row, columns};
use crate::cli::output::table::Head;
use crate::cli::output::text::{if_any, printable, short_id, time};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The bytes are promised at once, so that the content finds room whenever it comes: store it
with post, or give them up with void. The same key again gives the same reservation,
whatever became of it; exit status 1 if it was voided or has lapsed, unless it is made
--again. The last 1,024 that were resolved are remembered.

Examples:
  heapledger reserve 64KiB --key report --expires 1h
  heapledger post report report.pdf
  heapledger reserve 64KiB -k report --again  # if it was voided or has lapsed
  heapledger reserve 1MiB --format json | jq -r .key   # a key that was made up")]
pub struct ReserveArgs {
    /// How many bytes: 65536, 64K, 1.5MiB
    #[arg(value_name = "SIZE", value_parser = parse::size, allow_negative_numbers = true)]
    size: u64,

    /// A name for it, of at most 255 bytes, to find it again [default: reservation-NUMBER]
    #[arg(short, long, value_name = "KEY")]
    key: Option<String>,

    /// How long it lasts: 90s, 10m, 2h, 30d [default: 10m]
    #[arg(short, long, value_name = "TIME", value_parser = when::span)]
    expires: Option<Duration>,

    /// If the reservation with the key was voided or has lapsed, make a new one in its place
    #[arg(long, requires = "key")]
    again: bool,

    #[command(flatten)]
    making: Making,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
A large object that is being stored is a reservation, too: `heapledger ls --reservations`
shows its number. If its writer was killed, its bytes come back by themselves after some
minutes, or with void at once.

Examples:
  heapledger reserve 64KiB --key draft
  heapledger void draft")]
pub struct VoidArgs {
    /// The key of the reservation, or an upload: "upload 17", or 17
    #[arg(value_name = "KEY")]
    key: String,
}

pub fn reserve(args: &ReserveArgs, context: &Context<'_>) -> Result<Outcome> {
    let memory = context.store(args.making)?;
    let mut reserve = memory.reserve(args.size);
    if let Some(key) = &args.key {
        reserve = reserve.key(key);
    }
    if args.again {
        reserve = reserve.again();
    }
    if let Some(expires) = args.expires {
        reserve = reserve.expires_in(expires);
    }
    let reservation = reserve.make()?;
    let shown = Shown::new(&reservation, &memory);
    context.answer(&shown, |out| {
        let (label, size) = (label(&reservation), context.sizes().phrase(reservation.bytes));
        match (reservation.state, reservation.object_id) {
            (ReservationState::Open, _) => {
                writeln!(
                    out,
                    "reserved {size} as {label}, until {}",
                    time(reservation.expires_at)
                )
            }
            (state, Some(id)) => writeln!(out, "{label} is {state}, as {}", short_id(id)),
            (state, None) => writeln!(out, "{label} is {state}; nothing is reserved"),
        }
    })?;
    Ok(match reservation.state {
        ReservationState::Open | ReservationState::Posted => Outcome::Fine,
        _ => Outcome::Findings,
    })
}

pub fn void(args: &VoidArgs, context: &Context<'_>) -> Result<Outcome> {
    let memory = context.change()?;
    let reservation = find(&memory, &args.key)?;
    reservation.void()?;
    let after = memory.reservation_by_id(reservation.id);
    // Nothing is left of an upload.
    let shown = after.as_ref().map_or_else(
        |_| Shown {
            state: ReservationState::Voided,
            promised: 0,
            written: 0,
            ..Shown::new(&reservation, &memory)
        },
        |after| Shown::new(after, &memory),
    );
    context.answer(&shown, |out| {
        let size = context.sizes().phrase(reservation.bytes);
        writeln!(out, "voided {}: its {size} are available again", label(&reservation))
    })
}

/// A reservation by its key or, for an upload, by its number.
fn find(memory: &MemManager, key: &str) -> Result<Reservation, Error> {
    let unknown = match memory.reservation(key) {
        Err(unknown @ Error::Reservation(ReservationError::Unknown { .. })) => unknown,
        found => return found,
    };
    let number = key.strip_prefix("upload ").unwrap_or(key);
    let Ok(number) = number.parse::<i64>() else {
        return Err(unknown);
    };
    memory.reservation_by_id(ReservationId::within(memory.space_id(), number))
}

/// `heapledger ls --reservations`
pub fn list(context: &Context<'_>) -> Result<Outcome> {
    let memory = context.read()?;
    let reservations = memory.reservations()?;
    let rows = reservations.iter().map(|reservation| Shown::new(reservation, &memory));
    context.list(rows)
}

/// What to call it: its key, or `upload 17`.
pub fn label(reservation: &ReservationInfo) -> String {
    match &reservation.key {
        Some(key) => printable(key).into_owned(),
        None => format!("upload {}", reservation.id.n()),
    }
}

/// A row of the view `promises`.
#[derive(Serialize)]
struct Shown<'a> {
    id: ReservationId,
    space: &'a str,
    key: Option<&'a str>,
    state: ReservationState,
    bytes: u64,
    written: u64,
    promised: u64,
    object_id: Option<ObjectId>,
    created: String,
    expires: String,
    resolved: Option<String>,
    #[serde(skip)]
    info: &'a ReservationInfo,
}

impl<'a> Shown<'a> {
    fn new(info: &'a ReservationInfo, memory: &'a MemManager) -> Self {
        Self {
            id: info.id,
            space: memory.space(),
            key: info.key.as_deref(),
            state: info.state,
            bytes: info.bytes,
            written: info.written,
            promised: info.promised,
            object_id: info.object_id,
            created: time(info.created_at),
            expires: time(info.expires_at),
            resolved: info.resolved_at.map(time),
            info,
        }
    }
}

impl Row for Shown<'_> {
    const KEYS: &'static str = "id,space,key,state,bytes,written,promised,object_id,created,expires,resolved";
    columns! { self, sizes,
        Head::left("RESERVATION").cut_to(16) => label(self.info),
        Head::left("STATE") => self.state,
        Head::right("SIZE").worth(5) => sizes.cell(self.bytes),
        Head::right("WRITTEN").worth(2) => sizes.cell(self.written),
        Head::right("PROMISED").worth(4) => sizes.cell(self.promised),
        Head::left("EXPIRES").worth(3) => self.expires,
        Head::left("OBJECT").worth(1) => if_any(self.object_id, short_id),
    }
}
