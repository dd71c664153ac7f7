//! Visibility of gathered rows before they are written.

use super::*;
use crate::books::rows::Binding;
use crate::models::Lifetime;
use crate::value::ObjectId;

/// An id that consists of this digit.
fn id(digit: &str) -> ObjectId {
    digit.repeat(64).parse().unwrap()
}

/// Binds a name to the object whose id consists of this digit.
fn bind(tx: &mut WriteTx<'_>, name: &str, object: StoredObjectId, digit: &str) -> Result<()> {
    let at = tx.at();
    tx.apply(Change::NameBound {
        name,
        binding: Binding {
            object,
            at,
            expires_at: None,
            refresh: None,
        },
        object_id: id(digit),
        lifetime: None,
    })
}

fn unbind(tx: &mut WriteTx<'_>, name: &str, object: StoredObjectId, digit: &str) -> Result<()> {
    tx.apply(Change::NameUnbound {
        name,
        object,
        object_id: id(digit),
        lifetime: None,
    })
}

fn resolve(tx: &mut WriteTx<'_>, name: &str) -> Result<Option<StoredObjectId>> {
    Ok(tx.bound(name)?.map(|bound| bound.object.id))
}

fn names(tx: &mut WriteTx<'_>, object: StoredObjectId) -> Result<Vec<String>> {
    Ok(tx.names_of(object)?.into_iter().map(|kept| kept.name).collect())
}

/// What is written in the tables.
fn written(turn: &mut Turn, name: &str) -> Option<StoredObjectId> {
    let space = turn.writer.space;
    let found = queries::names::resolve(&mut turn.writer.engine.read(), space, name).unwrap();
    found.map(|object| object.id)
}

/// Runs a unit of a transaction that stays open.
fn unit<R>(turn: &mut Turn, work: impl FnOnce(&mut WriteTx<'_>) -> Result<R>) -> R {
    turn.work(Begin::Locked, soon(), work)
        .unwrap_or_else(|_| panic!("the unit failed"))
}

#[test]
fn a_name_is_visible_to_later_units_and_written_with_the_commit() {
    let folder = tempfile::tempdir().unwrap();
    let (group, readers) = heap(&folder);
    let mut entered = group.enter(Coming::ToJoin, soon()).unwrap();
    let turn = &mut *entered.turn;
    let a = unit(turn, |tx| {
        let a = store(tx, 1, "a")?;
        bind(tx, "moves", a, "a")?;
        bind(tx, "goes", a, "a")?;
        bind(tx, "stays", a, "a")?;
        Ok(a)
    });
    assert_eq!(written(turn, "moves"), None);
    let b = unit(turn, |tx| {
        let b = store(tx, 1, "b")?;
        assert_eq!(resolve(tx, "moves")?, Some(a));
        unbind(tx, "moves", a, "a")?;
        assert_eq!(resolve(tx, "moves")?, None);
        bind(tx, "moves", b, "b")?;
        unbind(tx, "goes", a, "a")?;
        Ok(b)
    });
    unit(turn, |tx| {
        assert_eq!(resolve(tx, "moves")?, Some(b));
        assert_eq!(resolve(tx, "goes")?, None);
        assert_eq!(names(tx, a)?, ["stays"]);
        assert_eq!(names(tx, b)?, ["moves"]);
        assert!(tx.find_placed(&id("b"))?.is_some_and(|b| b.names.is_some()));
        Ok(())
    });
    turn.commit().unwrap();
    assert_eq!(
        ["moves", "goes", "stays"].map(|name| written(turn, name)),
        [Some(b), None, Some(a)]
    );
    drop(entered);
    assert_eq!(state(&readers).2, 2);
}

#[test]
fn a_failed_unit_leaves_the_names_of_earlier_units() {
    let folder = tempfile::tempdir().unwrap();
    let (group, readers) = heap(&folder);
    for has_written in [false, true] {
        let name = format!("name {has_written}");
        let digit = if has_written { "a" } else { "b" };
        let mut entered = group.enter(Coming::ToJoin, soon()).unwrap();
        let turn = &mut *entered.turn;
        let object = unit(turn, |tx| {
            let object = store(tx, 1, digit)?;
            bind(tx, &name, object, digit)?;
            Ok(object)
        });
        let failed = turn.work(Begin::Locked, soon(), |tx| {
            unbind(tx, &name, object, digit)?;
            if has_written {
                tx.read_rows(|_| Ok(()))?;
            }
            Err::<(), _>(Error::ReadOnly)
        });
        assert!(failed.is_err());
        unit(turn, |tx| {
            assert_eq!(resolve(tx, &name)?, Some(object));
            Ok(())
        });
        turn.commit().unwrap();
        assert_eq!(written(turn, &name), Some(object));
    }
    assert_eq!(state(&readers).2, 2);
}

#[test]
fn a_hold_is_visible_before_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let (group, _) = heap(&folder);
    let object = write(&group, |tx| store(tx, 1, "a")).unwrap();
    let object_id = id("a");
    let held = |tx: &mut WriteTx<'_>| Ok(tx.find(&object_id)?.map(|object| object.held));
    let released = || Change::Released {
        object,
        object_id,
        lifetime: Lifetime::default(),
    };
    let mut entered = group.enter(Coming::ToJoin, soon()).unwrap();
    let turn = &mut *entered.turn;
    unit(turn, |tx| {
        tx.apply(released())?;
        assert_eq!(held(tx)?, Some(false));
        Ok(())
    });
    unit(turn, |tx| {
        assert_eq!(held(tx)?, Some(false));
        let lifetime = Lifetime::default().with_hold(None.into());
        tx.apply(Change::Held { object, lifetime })?;
        assert_eq!(held(tx)?, Some(true));
        tx.apply(released())
    });
    turn.commit().unwrap();
    drop(entered);
    assert_eq!(write(&group, held).unwrap(), Some(false));
}

/// Within a batch, removals are written first, so the new object must be written before it is removed.
#[test]
fn an_object_can_be_stored_and_freed_in_one_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let (group, readers) = heap(&folder);
    let mut entered = group.enter(Coming::ToJoin, soon()).unwrap();
    let turn = &mut *entered.turn;
    let object = unit(turn, |tx| {
        let object = store(tx, 0, "a")?;
        bind(tx, "name", object, "a")?;
        Ok(object)
    });
    unit(turn, |tx| {
        let object_id = id("a");
        unbind(tx, "name", object, "a")?;
        tx.apply(Change::ObjectRemoved {
            object,
            object_id,
            kind: Kind::Bytes,
            size: 0,
            entries: 0,
        })?;
        assert!(tx.find(&object_id)?.is_none());
        Ok(())
    });
    turn.commit().unwrap();
    assert_eq!(written(turn, "name"), None);
    drop(entered);
    assert_eq!(state(&readers).2, 0);
}
