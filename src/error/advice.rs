//! What to do about an error, in terms of library calls.

use super::Error;

impl Error {
    /// What to do about it in terms of library calls, if there is anything to do. The message ends
    /// with this, after a semicolon.
    pub fn advice(&self) -> Option<&'static str> {
        Some(match self {
            Self::OutOfMemory { promised_to, .. } if promised_to.iter().any(|promise| promise.key.is_some()) => {
                "free objects, void reservations with Reservation::void, or make the space larger with MemManager::resize"
            }
            Self::OutOfMemory { promised_to, .. } if !promised_to.is_empty() => {
                "an upload whose process has died ends after its lease (Promise::expires_at); free objects, or make the \
                 space larger with MemManager::resize"
            }
            Self::OutOfMemory { expired: 1.., .. } => "if it is right, call MemManager::collect_expired",
            Self::OutOfMemory { spared: true, .. } => {
                "unpin objects with MemManager::unpin, lower the age with MemManager::set_eviction, or make the space \
                 larger with MemManager::resize"
            }
            Self::OutOfMemory { .. } => "free objects, or make the space larger with MemManager::resize",
            Self::QuotaExceeded(_) => "free some of its objects, or allow it more with MemManager::set_quota",
            Self::FileFull { .. } => {
                "free objects and call MemManager::collect_garbage, or raise the ceiling with MemManager::set_max_file"
            }
            Self::Server(error) => return error.advice(),
            Self::Reservation(error) => return error.advice(),
            Self::Space(error) => return error.advice(),
            Self::Plan(error) => return error.advice(),
            Self::Expiry(error) => return error.advice(),
            Self::NotStored { .. } | Self::UnknownReference { .. } => "MemManager::objects lists the objects",
            Self::UnknownRow { .. } => "MemManager::arenas, pools and blocks list the existing ones",
            Self::Named { .. } => "unbind its names first, or use force_free",
            Self::NameTaken { .. } => "bind and Hold::Name move it",
            Self::CannotShrink { max_mem, reserved, .. } if max_mem >= reserved => {
                "void reservations with Reservation::void first"
            }
            Self::CannotShrink { .. } => "free objects and call MemManager::collect_garbage first",
            Self::NoFile { .. } => "opening it for writing creates it, unless Options::create forbids that",
            Self::TooOld { .. } => {
                "call MemManager::export with the version that wrote it, and MemManager::import on a new heap with this one"
            }
            Self::NoIdsLeft { .. } => "move its objects to a new space with MemManager::export and import",
            Self::SpaceExists { .. } => {
                "Options::space names another, and MemManager::resize changes the capacity of one"
            }
            Self::Busy { .. } => "try again, or wait longer with Options::busy_timeout",
            Self::LogHeld(_) => {
                "end that read (a MemManager::read, a MemManager::snapshot, a transaction of another tool) and try \
                 again, or wait longer with Options::busy_timeout"
            }
            Self::SnapshotTooOld { .. } => {
                "read again from a new snapshot, or allow more with Options::max_snapshot_age"
            }
            Self::HistoryOff { .. } => "MemManager::set_history starts recording",
            Self::OutsideHistory { .. } => "MemManager::events lists the events",
            Self::Damaged { .. } => "MemManager::check lists all damage",
            Self::AlteredSchema {
                can_be_restored: true, ..
            } => "Options::check_schema lists every part, and Options::restore_schema recreates them",
            Self::ForeignLog { .. } => "MemManager::restore replaces a heap with a backup without leaving a log",
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{HeldLog, ReservationError, SpaceError};

    #[test]
    fn the_advice_ends_the_message_and_calls_the_library() {
        let (space, id) = ("main".to_owned(), crate::ObjectId::of_bytes(b""));
        for error in [
            Error::OutOfMemory {
                needed: 1,
                available: 0,
                max_mem: 1000,
                promised: 0,
                promised_to: Vec::new(),
                expired: 0,
                spared: false,
            },
            Error::FileFull {
                needed: 1,
                file: 1,
                log: 1,
                reserve: 0,
                max_file: 2,
            },
            Error::NotStored {
                id,
                space: space.clone(),
            },
            Error::UnknownReference {
                text: "abc".into(),
                space: space.clone(),
            },
            Error::UnknownRow {
                what: "block",
                id: 1,
                space: space.clone(),
            },
            Error::Named {
                id,
                names: vec!["x".into()],
            },
            Error::NameTaken {
                name: "x".into(),
                id,
                space: space.clone(),
            },
            Error::CannotShrink {
                space: space.clone(),
                max_mem: 1,
                reserved: 2,
                mem: 2,
                promised: 0,
            },
            Error::CannotShrink {
                space: space.clone(),
                max_mem: 2,
                reserved: 2,
                mem: 1,
                promised: 2,
            },
            ReservationError::KeyReused {
                key: "k".into(),
                reserved: 1,
                wanted: 2,
            }
            .into(),
            Error::NoFile { path: "x".into() },
            Error::NoIdsLeft {
                space: space.clone(),
                table: "blocks",
                needed: 3,
                left: 2,
            },
            Error::TooOld {
                path: "x".into(),
                found: 5,
            },
            Error::SpaceExists {
                space: space.clone(),
                path: "x".into(),
                why: "it was not changed".into(),
            },
            SpaceError::BeingDropped {
                space: space.clone(),
                at: crate::Timestamp::default(),
            }
            .into(),
            Error::Busy { waited_ms: 1 },
            Error::LogHeld(HeldLog {
                log: 2,
                limit: 1,
                holders: Vec::new(),
                waited_ms: 1,
            }),
            Error::SnapshotTooOld {
                age: std::time::Duration::from_secs(2),
                max: std::time::Duration::from_secs(1),
            },
            Error::HistoryOff { space },
            Error::OutsideHistory {
                moment: "event 1".into(),
                why: "it is gone".into(),
            },
            Error::Damaged { what: "it".into() },
            Error::ForeignLog { path: "x".into() },
            Error::AlteredSchema {
                path: "x".into(),
                what: "it".into(),
                can_be_restored: true,
            },
        ] {
            let (message, advice) = (error.to_string(), error.advice().unwrap());
            assert_eq!(message, format!("{}; {advice}", error.what()));
            assert!(!message.contains("heapledger ") && !message.contains("--"), "{message}");
        }
        assert_eq!(Error::ReadOnly.what(), Error::ReadOnly.to_string());
    }

    #[test]
    fn a_single_byte_is_singular() {
        let message = Error::OutOfMemory {
            needed: 1,
            available: 0,
            max_mem: 1000,
            promised: 0,
            promised_to: Vec::new(),
            expired: 0,
            spared: false,
        };
        assert!(message.what().starts_with("out of memory: 1 byte needed, 0 of 1,000 "));
        let message = Error::UnknownReference {
            text: "2cf24".into(),
            space: "main".into(),
        };
        assert!(
            message.what().ends_with("the start of an id needs at least 6 digits"),
            "{message}"
        );
    }
}
