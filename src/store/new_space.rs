//! Creation of a space.

use super::conn::Conn;
#[cfg(feature = "postgres")]
use super::postgres;
use super::queries::{ids, spaces};
use super::read::ReadTx;
use super::sqlite;
use crate::books::batch::Batch;
use crate::books::change::Change;
use crate::books::events::Signature;
use crate::books::evicting::EvictionSetting;
use crate::books::history_change::HistorySetting;
use crate::books::room::Room;
use crate::books::rows::NewSpace;
use crate::books::triggers;
use crate::error::{Error, Result};
use crate::geometry::Geometry;
use crate::models::{EventId, MemRamId, Sequence, Stripe, Timestamp};

/// A space to create.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SpaceToMake<'a> {
    pub name: &'a str,
    pub max_mem: i64,
    pub geometry: &'a Geometry,
    pub history: HistorySetting,
    pub eviction: EvictionSetting,
    /// The ceiling of the file in bytes, if it is the first space of a file.
    pub max_file: Option<i64>,
    pub created_at: Timestamp,
}

/// Creates a space in the caller's transaction. Returns `false` if its name is taken.
pub(in crate::store) fn make(conn: &mut Conn, space: SpaceToMake<'_>) -> Result<bool> {
    let (geometry, max_file) = (space.geometry, space.max_file);
    if spaces::by_name(&mut ReadTx::new(conn), space.name)?.is_some() {
        return Ok(false);
    }
    let is_first = spaces::all(&mut ReadTx::new(conn))?.is_empty();
    let id = MemRamId(spaces::last_id(&mut ReadTx::new(conn))?.saturating_add(1));
    if id.0 > Stripe::SPACES {
        return Err(Error::TooManySpaces);
    }
    let mut batch = Batch::default();
    batch.sign(Signature {
        at: space.created_at,
        ..Signature::default()
    });
    let room = &mut Room::unknown(geometry.classes().len(), space.max_mem);
    let made = Change::SpaceMade(NewSpace {
        id,
        name: space.name.to_owned(),
        max_mem: space.max_mem,
        geometry: geometry.clone(),
        created_at: space.created_at,
        history: space.history,
        eviction: space.eviction,
    });
    batch.apply(made, triggers::ALL, geometry, room)?;
    if is_first && max_file.is_some() {
        batch.apply(Change::CeilingSet { max_file }, triggers::ALL, geometry, room)?;
    }
    let first = ids::last_id(&mut ReadTx::new(conn), id, Sequence::Events)? + 1;
    batch.number_events(EventId(first), 0);
    match conn {
        Conn::Sqlite(_) => sqlite::write::write(conn, id, &batch)?,
        #[cfg(feature = "postgres")]
        Conn::Postgres(_) => drop(postgres::write::write(conn, id, postgres::write::How::NEW, &batch)?),
    }
    Ok(true)
}
