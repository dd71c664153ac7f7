//! Repairs objects whose content does not match their id.

use std::ops::ControlFlow;

use super::{Correction, Repair};
use crate::books::fix::Fix;
use crate::books::invariants::Invariant;
use crate::books::rules::Stage;
use crate::error::Result;
use crate::manager::Phase;
use crate::manager::report::check::{each_object, garbled};
use crate::models::{MemRamId, StoredObject, StoredObjectId};
use crate::store::queries::entries::PieceOrder;
use crate::store::{ReadTx, queries};
use crate::value::{Hasher, Kind, ObjectId, Validator};

/// What an object's bytes reveal about its row.
enum Verdict {
    /// They match the row.
    Whole,
    /// They match the id as content of this kind, in the order of `seq` or of the keys.
    Other { kind: Kind, by_key: bool },
    /// They do not match, or are invalid for their kind, for the given reason. The id is that of
    /// the bytes as kind `bytes`.
    Damaged(ObjectId, Option<String>),
}

/// An object to set aside.
struct Damaged {
    key: StoredObjectId,
    space: MemRamId,
    label: String,
    content: ObjectId,
    /// Why the bytes are invalid for their kind.
    why: Option<String>,
}

impl Repair<'_, '_> {
    /// Reads every content, and corrects rows that do not match their bytes.
    pub(super) fn contents(&mut self, progress: &mut dyn FnMut(Phase, u64, u64)) -> Result<()> {
        let mut wrong = Vec::new();
        let astray = self.astray;
        self.tx.read(|tx| {
            let hashing = &mut |done, total| progress(Phase::Hashing, done, total);
            each_object(tx, hashing, |tx, object| {
                match examine(tx, object, astray)? {
                    Verdict::Whole => {}
                    verdict => wrong.push((object.clone(), verdict)),
                }
                Ok(ControlFlow::Continue(()))
            })
        })?;
        if !wrong.is_empty() {
            self.prepare()?;
        }
        let mut damaged = Vec::new();
        for (object, verdict) in wrong {
            match verdict {
                Verdict::Whole => {}
                Verdict::Other { kind, by_key } => self.restore(&object, kind, by_key)?,
                Verdict::Damaged(content, why) => damaged.push(Damaged::new(&object, content, why)),
            }
        }
        self.follow(Stage::Contents)?;
        self.set_aside(&damaged)
    }

    /// Replaces invalid bytes in names with U+FFFD.
    pub(super) fn garbled_names(&mut self) -> Result<()> {
        let mut names = Vec::new();
        let _ = self.tx.read(|tx| {
            queries::names::each_garbled(tx, |name| {
                names.push(name);
                ControlFlow::Continue(())
            })
        })?;
        for name in names {
            let new = self.free_name(name.space, String::from_utf8_lossy(&name.name).into_owned())?;
            self.rename(name.space, &name.name, &new)?;
            let expected = format!("the name {new:?}");
            let correction = Correction::from(garbled(&name));
            self.corrections.push(Correction { expected, ..correction });
        }
        Ok(())
    }

    fn restore(&mut self, object: &StoredObject, kind: Kind, by_key: bool) -> Result<()> {
        if by_key {
            self.tx.fix(Fix::PieceOrder { object: object.id })?;
            self.note_object(
                object.id,
                "pieces in the order in which they were stored",
                "another order",
            );
        }
        if kind != object.kind {
            let (_, found) = self
                .tx
                .read_written(|conn| queries::objects::spelled(conn, object.id))?;
            self.tx.fix(Fix::ObjectKind {
                object: object.id,
                kind,
            })?;
            self.note_object(object.id, format!("kind {kind}"), format!("kind {found:?}"));
        }
        Ok(())
    }

    /// First frees the ids of all of them, because one may have the content of another.
    fn set_aside(&mut self, damaged: &[Damaged]) -> Result<()> {
        for object in damaged {
            self.tx.fix(Fix::SetAside { object: object.key })?;
            let names = self.tx.read_written(|tx| queries::names::of_object(tx, object.key))?;
            for name in names {
                let new = self.free_name(object.space, format!("{}/{}", object.label, name.name))?;
                self.rename(object.space, name.name.as_bytes(), &new)?;
            }
            let name = self.free_name(object.space, object.label.clone())?;
            self.tx.fix(Fix::AddName {
                object: object.key,
                name: &name,
            })?;
            let found = match &object.why {
                Some(why) => format!("{why}; set aside as {name:?}"),
                None => format!("content of {}; set aside as {name:?}", object.content),
            };
            let expected = object.label.trim_start_matches("damaged/").to_owned();
            self.note_object(object.key, format!("content of {expected}"), found);
        }
        for object in damaged {
            let (key, space) = (object.key, object.space);
            let same = self
                .tx
                .read_written(|tx| queries::objects::find(tx, space, &object.content))?;
            if let Some(same) = same {
                let (object, into) = (key, same.id);
                self.tx.fix(Fix::Merge { object, into })?;
                self.note_object(
                    key,
                    "one object per content",
                    format!("object {into} has the same bytes and takes over the names"),
                );
            } else {
                let (object, object_id) = (key, object.content);
                self.tx.fix(Fix::ObjectId { object, object_id })?;
            }
        }
        Ok(())
    }

    fn rename(&mut self, space: MemRamId, name: &[u8], to: &str) -> Result<()> {
        self.tx.fix(Fix::Rename { space, name, to })
    }

    /// `wanted`, or with a number appended if that name is taken.
    fn free_name(&mut self, space: MemRamId, wanted: String) -> Result<String> {
        let mut name = wanted.clone();
        for number in 2.. {
            let taken = self.tx.read_written(|tx| queries::names::resolve(tx, space, &name))?;
            if taken.is_none() {
                break;
            }
            name = format!("{wanted}-{number}");
        }
        Ok(name)
    }

    fn note_object(&mut self, key: StoredObjectId, expected: impl Into<String>, found: impl Into<String>) {
        self.corrections.push(Correction {
            invariant: Invariant::I8,
            table: "stored_objects".to_owned(),
            id: Some(key.0),
            expected: expected.into(),
            found: found.into(),
        });
    }
}

impl Damaged {
    fn new(object: &StoredObject, content: ObjectId, why: Option<String>) -> Self {
        // A row that was created for lost pieces has its key as its id.
        let made = object.object_id.to_hex() == format!("{:064x}", object.id.0);
        let label = match object.object_id {
            id if !made && id != ObjectId::UNKNOWN => format!("damaged/{id}"),
            _ => format!("damaged/object-{}", object.id),
        };
        Self {
            key: object.id,
            space: object.memram_id,
            label,
            content,
            why,
        }
    }
}

fn examine(tx: &mut ReadTx<'_>, object: &StoredObject, astray: bool) -> Result<Verdict> {
    let order = astray.then_some(PieceOrder::Seq);
    let [id] = hash(tx, object, order, [Hasher::new(object.kind)])?;
    if id == object.object_id {
        return verdict_of(tx, object, order, object.kind, Verdict::Whole);
    }
    let of_all_kinds = || Kind::ALL.map(Hasher::new);
    let ids = hash(tx, object, order, of_all_kinds())?;
    if let Some(kind) = kind_of(&ids, object) {
        let by_key = false;
        return verdict_of(tx, object, order, kind, Verdict::Other { kind, by_key });
    }
    if astray {
        let order = Some(PieceOrder::Id);
        let ids = hash(tx, object, order, of_all_kinds())?;
        if let Some(kind) = kind_of(&ids, object) {
            let by_key = true;
            return verdict_of(tx, object, order, kind, Verdict::Other { kind, by_key });
        }
    }
    let [as_bytes, ..] = ids;
    Ok(Verdict::Damaged(as_bytes, None))
}

/// `verdict`, if the bytes, which have the right hash for `kind`, are also valid for it.
fn verdict_of(
    tx: &mut ReadTx<'_>,
    object: &StoredObject,
    order: Option<PieceOrder>,
    kind: Kind,
    verdict: Verdict,
) -> Result<Verdict> {
    if kind == Kind::Bytes {
        return Ok(verdict);
    }
    let mut validator = Validator::new(kind);
    each_part(tx, object, order, |data| validator.update(data))?;
    let Err(why) = validator.finish() else {
        return Ok(verdict);
    };
    let [as_bytes] = hash(tx, object, order, [Hasher::new(Kind::Bytes)])?;
    Ok(Verdict::Damaged(as_bytes, Some(why)))
}

/// Hashes an object's bytes: those at the keys after its own or, in a given order, wherever they
/// are.
fn hash<const N: usize>(
    tx: &mut ReadTx<'_>,
    object: &StoredObject,
    anywhere: Option<PieceOrder>,
    mut hashers: [Hasher; N],
) -> Result<[ObjectId; N]> {
    each_part(tx, object, anywhere, |data| {
        hashers.iter_mut().for_each(|hasher| hasher.update(data));
    })?;
    Ok(hashers.map(Hasher::finish))
}

fn each_part(
    tx: &mut ReadTx<'_>,
    object: &StoredObject,
    anywhere: Option<PieceOrder>,
    mut visit: impl FnMut(&[u8]),
) -> Result<()> {
    let visit = |data: Vec<u8>| {
        visit(&data);
        Ok(())
    };
    match anywhere {
        None => queries::entries::each_piece(tx, object.id, visit),
        Some(order) => queries::entries::each_stray_piece(tx, object.id, order, visit),
    }
}

fn kind_of(ids: &[ObjectId], object: &StoredObject) -> Option<Kind> {
    let mut kinds = Kind::ALL.into_iter().zip(ids);
    kinds.find(|(_, id)| **id == object.object_id).map(|(kind, _)| kind)
}
