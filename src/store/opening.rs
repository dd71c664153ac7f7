//! A heap that is open, and whose space is still to be found or created.

use super::engine::Engine;
use super::group::Group;
use super::location::Location;
use super::new_space::SpaceToMake;
#[cfg(feature = "postgres")]
use super::postgres::open::ServerOpening;
use super::read::ReadTx;
use super::readers::Readers;
use super::settings::Access;
use super::sqlite::open::FileOpening;
use crate::error::Result;
use crate::geometry::Geometry;
use crate::models::MemRamId;

pub(crate) enum Opening {
    File(FileOpening),
    #[cfg(feature = "postgres")]
    Server(ServerOpening),
}

impl Location {
    /// Opens the heap. For writing, `create` creates it if missing.
    pub fn open(self, access: Access, create: bool) -> Result<Opening> {
        match self {
            Self::File(file) => {
                if !create && access == Access::Write && file.is_new() {
                    file.check()?;
                }
                file.open(access).map(Opening::File)
            }
            #[cfg(feature = "postgres")]
            Self::Server(server) => server.open(access, create).map(Opening::Server),
        }
    }

    /// An engine without constraints, for repair.
    pub(in crate::store) fn engine_for_repair(&self) -> Result<Box<dyn Engine>> {
        match self {
            Self::File(file) => Ok(Box::new(file.engine_for_repair()?)),
            #[cfg(feature = "postgres")]
            Self::Server(server) => Ok(Box::new(server.engine_for_repair()?)),
        }
    }
}

impl Opening {
    pub fn location(&self) -> Location {
        match self {
            Self::File(opening) => Location::File(opening.location().clone()),
            #[cfg(feature = "postgres")]
            Self::Server(opening) => Location::Server(opening.location().clone()),
        }
    }

    pub fn read(&mut self) -> ReadTx<'_> {
        match self {
            Self::File(opening) => opening.read(),
            #[cfg(feature = "postgres")]
            Self::Server(opening) => opening.read(),
        }
    }

    /// Creates a space in a separate transaction. Returns `false` if its name is taken.
    pub fn make_space(&mut self, space: SpaceToMake<'_>) -> Result<bool> {
        match self {
            Self::File(opening) => opening.make_space(space),
            #[cfg(feature = "postgres")]
            Self::Server(opening) => opening.make_space(space),
        }
    }

    /// The readers of the heap and, if it was opened for writing, the writer of this space. With `drops` it
    /// drops the space; otherwise it may not write while the space is being dropped.
    pub fn finish(
        self,
        space: MemRamId,
        geometry: &Geometry,
        drops: bool,
    ) -> Result<(Location, Readers, Option<Group>)> {
        let (location, readers, engine): (_, _, Option<Box<dyn Engine>>) = match self {
            Self::File(opening) => {
                let (location, readers, engine) = opening.finish(drops)?;
                let engine = engine.map(|engine| Box::new(engine) as _);
                (Location::File(location), Readers::File(readers), engine)
            }
            #[cfg(feature = "postgres")]
            Self::Server(opening) => {
                let (location, readers, engine) = opening.finish()?;
                let engine = engine.map(|engine| Box::new(engine) as _);
                (Location::Server(location), Readers::Server(readers), engine)
            }
        };
        let writer = engine.map(|engine| Group::open(location.clone(), engine, space, geometry.clone(), drops));
        Ok((location, readers, writer))
    }
}
