//! What to do about an error, in calls of this library.

use super::Error;

pub(super) const RESIZE: &str = "free objects, or make the space larger with MemManager::resize";
pub(super) const OBJECTS: &str = "MemManager::objects lists the objects there are";
pub(super) const LEVELS: &str = "MemManager::arenas, pools and blocks list what there is";
pub(super) const UNBIND: &str = "unbind its names first, or use force_free";
pub(super) const MOVE: &str = "bind and Hold::Name move it";
pub(super) const COLLECT: &str = "free objects and call MemManager::collect_garbage first";
pub(super) const MAKE: &str = "opened for writing, it is made";
pub(super) const CARRY: &str =
    "call MemManager::export with the version that wrote it, and MemManager::import on a new heap with this one";
pub(super) const NEW_SPACE: &str = "carry its objects over to a new space with MemManager::export and import";
pub(super) const SPACES: &str = "Options::space names another, and MemManager::resize changes the capacity of one";
pub(super) const WAIT: &str = "try again, or wait longer with Options::busy_timeout";
pub(super) const HISTORY: &str = "MemManager::set_history keeps it from then on";
pub(super) const EVENTS: &str = "MemManager::events lists the events there are";
pub(super) const CHECK: &str = "MemManager::check lists all that is wrong";
const RESTORE: &str = "Options::check_schema names every part, and Options::restore_schema makes them again";

/// The end of a message, where there is advice to give.
pub(super) fn restore(can_be_restored: bool) -> String {
    if can_be_restored {
        format!("; {RESTORE}")
    } else {
        String::new()
    }
}

impl Error {
    /// What to do about it in calls of this library, where there is something: the end
    /// of the message, after a semicolon.
    pub fn advice(&self) -> Option<&'static str> {
        Some(match self {
            Self::OutOfMemory { .. } => RESIZE,
            Self::NotStored { .. } | Self::UnknownReference { .. } => OBJECTS,
            Self::UnknownRow { .. } => LEVELS,
            Self::Named { .. } => UNBIND,
            Self::NameTaken { .. } => MOVE,
            Self::CannotShrink { .. } => COLLECT,
            Self::NoFile { .. } => MAKE,
            Self::TooOld { .. } => CARRY,
            Self::NoIdsLeft { .. } => NEW_SPACE,
            Self::SpaceExists { .. } => SPACES,
            Self::Busy { .. } => WAIT,
            Self::HistoryOff { .. } => HISTORY,
            Self::OutsideHistory { .. } => EVENTS,
            Self::Damaged { .. } => CHECK,
            Self::AlteredSchema {
                can_be_restored: true, ..
            } => RESTORE,
            _ => return None,
        })
    }

    /// The message without the advice, for programs that advise in words of their own.
    pub fn what(&self) -> String {
        let message = self.to_string();
        let advice = self.advice().unwrap_or_default();
        let what = message.strip_suffix(advice).unwrap_or(&message);
        what.strip_suffix("; ").unwrap_or(what).to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_advice_ends_the_message_and_calls_the_library() {
        let (space, id) = ("main".to_owned(), crate::ObjectId::of_bytes(b""));
        for error in [
            Error::OutOfMemory {
                needed: 1,
                available: 0,
                max_mem: 1000,
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
            },
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
            Error::Busy { waited_ms: 1 },
            Error::HistoryOff { space },
            Error::OutsideHistory {
                moment: "event 1".into(),
                why: "it is gone".into(),
            },
            Error::Damaged { what: "it".into() },
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
    fn one_is_not_several() {
        let message = Error::OutOfMemory {
            needed: 1,
            available: 0,
            max_mem: 1000,
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
