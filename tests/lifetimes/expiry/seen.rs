//! Nobody sees what has expired.

use heapledger::{ClaimName, Error, Expiry, Hold};

use super::{content, rows};
use crate::common::{Heap, assert_balanced, number, texts};
use crate::{Clock, HOUR, MINUTE};

#[test]
fn a_name_and_its_object_are_gone_at_their_moment() {
    let clock = Clock::take();
    let heap = Heap::new();
    let stored = heap.store("token", Hold::Name("session").expires_in(HOUR)).unwrap();
    let id = stored.id;
    assert_eq!(heap.get_by_name::<String>("session").unwrap().as_deref(), Some("token"));
    let expires_at = heap.names(&id).unwrap()[0].expires_at.unwrap();
    assert_eq!(heap.object(&id).unwrap().expires_at, Some(expires_at));
    assert_eq!(heap.object_info(&id).unwrap().expires_at, Some(expires_at));
    let name_info = || heap.name_info("session").unwrap();
    assert_eq!(name_info().unwrap().expires_at, Some(expires_at));

    clock.advance(HOUR - MINUTE);
    assert_eq!(heap.resolve("session").unwrap(), Some(id));
    clock.advance(MINUTE);
    assert_eq!(heap.resolve("session").unwrap(), None);
    assert_eq!(name_info(), None);
    assert_eq!(heap.get_by_name::<String>("session").unwrap(), None);
    assert!(!heap.contains(&id).unwrap());
    let is_gone = |error: Error| matches!(error, Error::NotStored { .. });
    assert!(is_gone(heap.get::<String>(&id).unwrap_err()));
    assert!(is_gone(heap.get_bytes(&id).unwrap_err()));
    assert!(is_gone(heap.reader(&id).unwrap_err()));
    assert!(is_gone(heap.object(&id).unwrap_err()));
    assert!(is_gone(heap.object_info(&id).unwrap_err()));
    assert!(is_gone(heap.ledger(&id).unwrap_err()));
    assert!(is_gone(heap.names(&id).unwrap_err()));
    for text in [id.to_hex(), id.to_hex()[..8].to_owned(), "session".to_owned()] {
        assert!(heap.find(&text).is_err(), "{text}");
    }
    assert_eq!(heap.objects().count(), 0);
    let entry = heap.entries().next().unwrap().unwrap();
    assert_eq!(entry.object_id, None, "its bytes are still there, but it is not");
    assert_eq!(heap.pieces_in(entry.block_id).unwrap()[0].object_id, None);
    let snapshot = |snapshot: &mut heapledger::Snapshot<'_>| snapshot.get_by_name::<String>("session");
    assert_eq!(heap.read(snapshot).unwrap(), None);
    assert!(heap.open_again().resolve("session").unwrap().is_none());

    let stats = heap.stats().unwrap();
    assert_eq!((stats.objects, stats.expired, stats.mem), (0, 1, stored.size));
    assert!(stats.kinds.is_empty() && stats.largest.is_empty());
    let claim = |name| stats.claims.iter().find(|claim| claim.claim == name).unwrap().bytes;
    assert_eq!((claim(ClaimName::Objects), claim(ClaimName::Expired)), (0, stored.size));
    assert_eq!(stats.claims.iter().map(|claim| claim.bytes).sum::<u64>(), stats.max_mem);
    assert_eq!(rows(&heap), 1);
    assert_balanced(&heap);
}

#[test]
fn contents_of_every_size_expire() {
    let clock = Clock::take();
    let heap = Heap::new();
    let sizes = [0, 1, 200, 5000, 300_000];
    let ids = sizes.map(|size| {
        let hold = Hold::Anonymous.expires_in(HOUR);
        heap.store_bytes(&content(1, size), hold).unwrap().id
    });
    let kept = heap.allocate_bytes(&content(2, 200)).unwrap();
    for (id, size) in ids.iter().zip(sizes) {
        assert_eq!(heap.get_bytes(id).unwrap(), content(1, size));
    }
    clock.advance(HOUR);
    for id in &ids {
        assert!(matches!(heap.get_bytes(id), Err(Error::NotStored { .. })), "{id}");
    }
    assert_eq!(heap.get_bytes(&kept).unwrap(), content(2, 200));
    assert_balanced(&heap);
}

/// The views go by the clock of the engine, so the rows are set back instead.
#[test]
fn the_views_show_it_no_longer_either() {
    let _clock = Clock::take();
    let heap = Heap::new();
    heap.store_bytes(&content(1, 500), Hold::Name("gone").expires_in(HOUR))
        .unwrap();
    let kept = heap.store_bytes(&content(2, 300), Hold::Name("kept")).unwrap().id;
    heap.bind("also gone", &kept).unwrap();
    heap.expire("also gone", HOUR).unwrap();
    let sql = heap.sql();
    let names = "SELECT names FROM objects ORDER BY id";
    assert_eq!(texts(&sql, names), ["gone", "also gone, kept"]);
    for table in ["names", "stored_objects"] {
        sql.execute(&format!(
            "UPDATE {table} SET expires_at = 1000000 WHERE expires_at IS NOT NULL"
        ));
    }
    assert_eq!(texts(&sql, names), ["kept"]);
    assert_eq!(texts(&sql, "SELECT names_json FROM objects"), ["[\"kept\"]"]);
    let claims = "SELECT bucket || ' ' || bytes FROM claims ORDER BY line";
    assert_eq!(texts(&sql, claims)[..3], ["objects 300", "expired 500", "uploads 0"]);
    let sum = "SELECT (SELECT sum(bytes) FROM claims) - (SELECT max_mem FROM memram)";
    assert_eq!(number(&sql, sum), 0);
    assert_eq!(number(&sql, "SELECT bytes FROM trial_balance WHERE line = 1"), 800);
    assert_balanced(&heap);
}

#[test]
fn what_never_expires_is_as_before() {
    let clock = Clock::take();
    let heap = Heap::new();
    let id = heap.allocate("kept").unwrap();
    heap.store("named", Hold::Name("it").expires(Expiry::Never)).unwrap();
    clock.advance(HOUR);
    assert_eq!(heap.get::<String>(&id).unwrap(), "kept");
    assert_eq!(heap.get_by_name::<String>("it").unwrap().as_deref(), Some("named"));
    assert_eq!(heap.object(&id).unwrap().expires_at, None);
    assert_balanced(&heap);
}
