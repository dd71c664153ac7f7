//! Queries in SQL, with values.

use std::ops::ControlFlow;

use heapledger::{MemManager, ObjectId, SqlQuery, SqlValue, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::common::{Heap, content, on_server};

fn rows<'q>(memory: &MemManager, query: impl Into<SqlQuery<'q>>) -> Vec<Vec<SqlValue>> {
    let mut found = Vec::new();
    let take = |_: &[String], values| {
        found.push(values);
        ControlFlow::Continue(())
    };
    memory.query(query, take).unwrap();
    found
}

fn refusal(memory: &MemManager, query: SqlQuery<'_>) -> String {
    let refused = memory.query(query, |_, _| ControlFlow::Continue(()));
    refused.unwrap_err().to_string()
}

#[test]
fn values_are_found_by_columns_of_their_type() {
    let heap = Heap::new();
    let memory = &*heap;
    let id = memory.set("it's ?", "text").unwrap().id;
    memory.set("other", &content(1, 5_000)).unwrap();
    let stored = memory.object(&id).unwrap();

    let named = "SELECT o.size FROM names n JOIN objects o ON o.id = n.stored_object_id WHERE n.name = ?";
    assert_eq!(
        rows(memory, SqlQuery::new(named).bind("it's ?")),
        [[SqlValue::Integer(4)]]
    );
    assert!(rows(memory, SqlQuery::new(named).bind("' OR 1 = 1 --")).is_empty());
    let by_id = SqlQuery::new("SELECT kind FROM objects WHERE object_id = ?").bind(id);
    assert_eq!(rows(memory, by_id), [[SqlValue::from("str")]]);
    let by_time =
        "SELECT size FROM stored_objects WHERE created_at <= ? AND size BETWEEN ? AND ? ORDER BY size LIMIT ?";
    let by_time = SqlQuery::new(by_time)
        .bind(stored.created_at)
        .bind(1)
        .bind(i64::MAX)
        .bind(1_u32);
    assert_eq!(rows(memory, by_time), [[SqlValue::Integer(4)]]);
}

#[test]
fn values_come_back_as_they_are() {
    let heap = Heap::new();
    let memory = &*heap;
    let text = "SELECT ? AS a, ? AS b, ? AS c, ? AS d, ? AS e, substr(?, ?, ?) AS f -- ?\n, '?' AS g";
    let query = SqlQuery::new(text)
        .bind(i64::MIN)
        .bind(-7)
        .bind(0.25)
        .bind("?; SELECT '")
        .bind(None::<i64>)
        .bind(String::from("äöü"))
        .bind(2)
        .bind(1);
    let expected: [SqlValue; 7] = [
        i64::MIN.into(),
        (-7).into(),
        0.25.into(),
        "?; SELECT '".into(),
        SqlValue::Null,
        "ö".into(),
        "?".into(),
    ];
    assert_eq!(rows(memory, query), [expected]);
    let compared = SqlQuery::new("SELECT ? = ?")
        .bind(&b"\0?\xff"[..])
        .bind(vec![0, b'?', 0xff]);
    let [row] = &rows(memory, compared)[..] else { panic!() };
    assert!(matches!(row[..], [SqlValue::Integer(1) | SqlValue::Bool(true)]));
}

#[test]
fn an_answer_without_rows_has_its_columns_and_a_plan_takes_values() {
    let heap = Heap::new();
    let memory = &*heap;
    let none = SqlQuery::new("SELECT name, bound_at FROM names WHERE name = ? LIMIT ?")
        .bind("x")
        .bind(1);
    let columns = memory.query(none, |_, _| panic!("a row")).unwrap();
    assert_eq!(columns, ["name", "bound_at"]);
    let explain = if on_server() { "EXPLAIN" } else { "EXPLAIN QUERY PLAN" };
    let text = format!("{explain} SELECT * FROM names WHERE name = ?");
    assert!(!rows(memory, SqlQuery::new(&text).bind("x")).is_empty());
}

#[test]
fn parameters_and_values_must_match() {
    let heap = Heap::new();
    let memory = &*heap;
    let more = refusal(memory, SqlQuery::new("SELECT ?, ?").bind(1));
    assert!(more.ends_with("the query has 2 `?`, but 1 value was given"), "{more}");
    let fewer = refusal(memory, SqlQuery::new("SELECT '?' -- ?").bind(1).bind(2));
    assert!(
        fewer.ends_with("the query has 0 `?`, but 2 values were given"),
        "{fewer}"
    );
    let numbered = refusal(memory, SqlQuery::new("SELECT ?2, ?1").bind(1).bind(2));
    assert!(numbered.contains("without a number"), "{numbered}");
    if !on_server() {
        // Otherwise it would be NULL.
        let without = refusal(memory, SqlQuery::new("SELECT ?"));
        assert!(
            without.ends_with("the query has 1 `?`, but 0 values were given"),
            "{without}"
        );
    }
}

#[test]
fn any_text_and_any_number_is_only_a_value() {
    let heap = Heap::new();
    let any = ("[^\0]{0,20}", any::<i64>(), any::<[u8; 8]>());
    let mut runner = TestRunner::new(Config::with_cases(64));
    let ran = runner.run(&any, |(text, number, content)| {
        let (id, time) = (ObjectId::of_bytes(&content), Timestamp::from_micros(number));
        let query = SqlQuery::new("SELECT ? AS a, ? AS b, ? AS c, ? AS d");
        let query = query.bind(text.as_str()).bind(number).bind(id).bind(time);
        let expected: [SqlValue; 4] = [text.into(), number.into(), id.to_string().into(), number.into()];
        prop_assert_eq!(rows(&heap, query), [expected]);
        Ok(())
    });
    ran.unwrap();
}
