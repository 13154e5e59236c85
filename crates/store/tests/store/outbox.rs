//! The outbox: leases, tries, parking, cancelling.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::connection::SimpleConnection as _;
use domain::{ExportDraft, ids::LeaseToken};
use futures_util::future::join_all;
use store::{LeasedRecord, OutboxKind::Request};

use crate::support::{Fixture, owner, request};

impl Fixture {
    fn minute(&self) -> DateTime<Utc> {
        self.now() + TimeDelta::minutes(1)
    }

    /// Leases with a new token, for a minute.
    async fn lease(&self, limit: u32) -> (LeaseToken, Vec<LeasedRecord>) {
        let token = LeaseToken::random();
        let leased =
            self.store.lease_records(Request, token, self.now(), self.minute(), limit).await.unwrap();
        (token, leased)
    }

    /// Leases and finishes; returns what it was, as places in the drafts.
    async fn send(&self, drafts: &[&ExportDraft], limit: u32) -> Vec<(usize, usize)> {
        let (token, leased) = self.lease(limit).await;
        let places = leased.iter().map(|row| place(drafts, row)).collect();
        let finished = self.store.finish_records(token, ids(&leased)).await.unwrap();
        assert_eq!(finished, leased.len());
        places
    }
}

fn ids(leased: &[LeasedRecord]) -> Vec<i64> {
    leased.iter().map(|row| row.id).collect()
}

/// Which source of which draft a record asks for.
fn place(drafts: &[&ExportDraft], row: &LeasedRecord) -> (usize, usize) {
    let event = String::from_utf8(request(row).payload.clone()).unwrap();
    let draft = drafts.iter().position(|draft| draft.id.to_string() == request(row).key).unwrap();
    let source =
        drafts[draft].sources.iter().position(|source| source.event_id.to_string() == event).unwrap();
    (draft, source)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_cannot_be_read_is_parked_and_does_not_hold_up_the_others() {
    let fixture = Fixture::new().await;
    let (spoilt, other) = (fixture.create(&owner("jdoe"), 1).await, fixture.create(&owner("jdoe"), 1).await);
    let spoil = format!("UPDATE outbox SET headers = '7' WHERE export_id = '{}'", spoilt.id);
    fixture.connection().batch_execute(&spoil).unwrap();
    assert_eq!(fixture.send(&[&other], 10).await, [(0, 0)]);
    assert_eq!(fixture.number("SELECT count(*) AS n FROM outbox WHERE kind = 'request'"), 1);
    let parked = fixture.store.parked_records(10).await.unwrap();
    assert_eq!(parked.len(), 1);
    assert!(parked[0].last_error.contains("outbox.headers"), "{}", parked[0].last_error);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_dispatchers_never_share_a_record() {
    let fixture = Fixture::new().await;
    for _ in 0..20 {
        fixture.create(&owner("jdoe"), 5).await;
    }
    let leased = join_all((0..30).map(|_| fixture.lease(7))).await;
    let mut all: Vec<_> = leased.iter().flat_map(|(_, rows)| ids(rows)).collect();
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count);
    // What a dispatcher skipped because another was just leasing it was leased by that one or is left.
    let mut rest = 0;
    loop {
        let (_, rows) = fixture.lease(100).await;
        // An export that was leased in part waits for its first part.
        let Some(last) = rows.last() else { break };
        assert!(!all.contains(&last.id));
        rest += rows.len();
    }
    assert!(count + rest <= 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_leased_again_when_its_lease_ends_and_its_old_holder_is_fenced() {
    let fixture = Fixture::new().await;
    fixture.create(&owner("jdoe"), 2).await;
    let (old, leased) = fixture.lease(10).await;
    assert_eq!(leased.len(), 2);
    fixture.clock.advance(TimeDelta::minutes(1) - TimeDelta::microseconds(1));
    assert!(fixture.lease(10).await.1.is_empty());
    fixture.clock.advance(TimeDelta::microseconds(1));
    let (new, again) = fixture.lease(10).await;
    assert_eq!((ids(&again), again[0].attempts), (ids(&leased), 2));
    let (now, rows) = (fixture.now(), ids(&leased));
    assert_eq!(fixture.store.finish_records(old, rows.clone()).await.unwrap(), 0);
    assert_eq!(fixture.store.return_records(old, rows.clone(), now, None).await.unwrap(), 0);
    assert!(!fixture.store.park_record(old, rows[0], "no".to_owned(), now).await.unwrap());
    assert_eq!(fixture.store.finish_records(new, rows).await.unwrap(), 2);
    assert_eq!(fixture.number("SELECT count(*) AS n FROM outbox WHERE kind = 'request'"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_waits_for_the_earlier_ones_of_its_export_and_for_no_other() {
    let fixture = Fixture::new().await;
    let (one, two) = (fixture.create(&owner("jdoe"), 4).await, fixture.create(&owner("jdoe"), 2).await);
    let drafts = [&one, &two];
    let (token, leased) = fixture.lease(2).await;
    // While the first part of an export is leased the rest of it waits.
    assert_eq!(fixture.send(&drafts, 10).await, [(1, 0), (1, 1)]);
    // The first is tried again in half a minute; the second was not tried.
    let soon = fixture.now() + TimeDelta::seconds(30);
    let first = fixture.store.return_records(token, vec![leased[0].id], soon, Some("no".to_owned())).await;
    let second = fixture.store.return_records(token, vec![leased[1].id], fixture.now(), None).await;
    assert_eq!((first.unwrap(), second.unwrap()), (1, 1));
    assert!(fixture.lease(10).await.1.is_empty());
    fixture.clock.advance(TimeDelta::seconds(30));
    let (token, leased) = fixture.lease(3).await;
    let tries: Vec<_> = leased.iter().map(|row| (place(&drafts, row).1, row.attempts)).collect();
    assert_eq!(tries, [(0, 2), (1, 1), (2, 1)]);
    fixture.store.finish_records(token, ids(&leased)).await.unwrap();
    assert_eq!(fixture.send(&drafts, 10).await, [(0, 3)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_record_lets_the_others_pass_until_it_is_requeued() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 3).await;
    let (token, leased) = fixture.lease(1).await;
    let (id, now) = (leased[0].id, fixture.now());
    assert!(fixture.store.park_record(token, id, "too large".to_owned(), now).await.unwrap());
    assert!(!fixture.store.park_record(token, id, "again".to_owned(), now).await.unwrap());
    assert_eq!(fixture.send(&[&draft], 10).await, [(0, 1), (0, 2)]);

    let parked = fixture.store.parked_records(10).await.unwrap();
    assert_eq!(parked.len(), 1);
    let row = &parked[0];
    assert_eq!((row.id, row.export_id, row.kind.as_str()), (id, draft.id, "request"));
    assert_eq!((row.attempts, row.parked_at, row.last_error.as_str()), (1, now, "too large"));
    let depth = fixture.store.outbox_depth(Request).await.unwrap();
    assert_eq!((depth.waiting, depth.oldest, depth.parked), (0, None, 1));

    fixture.clock.advance(TimeDelta::days(1));
    assert_eq!(fixture.store.requeue_records(Some(vec![id + 1]), fixture.now()).await.unwrap(), 0);
    assert_eq!(fixture.store.requeue_records(Some(vec![id]), fixture.now()).await.unwrap(), 1);
    assert_eq!(fixture.store.requeue_records(None, fixture.now()).await.unwrap(), 0);
    let (_, again) = fixture.lease(10).await;
    assert_eq!((ids(&again), again[0].attempts), (vec![id], 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_parked_records_can_be_requeued_at_once_and_keep_their_order() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 3).await;
    let (token, leased) = fixture.lease(10).await;
    for row in leased.iter().rev() {
        assert!(fixture.store.park_record(token, row.id, "no".to_owned(), fixture.now()).await.unwrap());
        fixture.clock.advance(TimeDelta::seconds(1));
    }
    let oldest = fixture.store.parked_records(1).await.unwrap();
    assert_eq!(oldest[0].id, leased[2].id);
    assert_eq!(fixture.store.requeue_records(None, fixture.now()).await.unwrap(), 3);
    assert_eq!(fixture.send(&[&draft], 10).await, [(0, 0), (0, 1), (0, 2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_an_export_cancels_what_was_not_sent() {
    let fixture = Fixture::new().await;
    let (deleted, kept) = (fixture.create(&owner("jdoe"), 3).await, fixture.create(&owner("jdoe"), 1).await);
    let (token, leased) = fixture.lease(1).await;
    fixture.store.delete_export(owner("jdoe"), deleted.id, fixture.now()).await.unwrap();
    assert_eq!(fixture.store.finish_records(token, ids(&leased)).await.unwrap(), 0);
    assert_eq!(fixture.send(&[&deleted, &kept], 10).await, [(1, 0)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn depth_tells_how_much_waits_and_since_when() {
    let fixture = Fixture::new().await;
    let empty = fixture.store.outbox_depth(Request).await.unwrap();
    assert_eq!((empty.waiting, empty.oldest, empty.parked), (0, None, 0));
    let since = fixture.now();
    fixture.create(&owner("jdoe"), 2).await;
    fixture.clock.advance(TimeDelta::minutes(5));
    fixture.create(&owner("jdoe"), 1).await;
    // A leased record waits as well: the broker does not have it yet.
    let (token, leased) = fixture.lease(1).await;
    let depth = fixture.store.outbox_depth(Request).await.unwrap();
    assert_eq!((depth.waiting, depth.oldest), (3, Some(since)));
    fixture.store.park_record(token, leased[0].id, "no".to_owned(), fixture.now()).await.unwrap();
    let depth = fixture.store.outbox_depth(Request).await.unwrap();
    assert_eq!((depth.waiting, depth.parked), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_record_is_due_even_if_its_writers_clock_is_ahead() {
    let fixture = Fixture::new().await;
    fixture.clock.advance(TimeDelta::seconds(5));
    let draft = fixture.create(&owner("jdoe"), 1).await;
    fixture.clock.advance(TimeDelta::seconds(-5));
    assert_eq!(fixture.send(&[&draft], 10).await, [(0, 0)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_locked_holds_up_the_later_ones_of_its_export_only() {
    let fixture = Fixture::new().await;
    let (one, two) = (fixture.create(&owner("jdoe"), 4).await, fixture.create(&owner("jdoe"), 1).await);
    let mut connection = fixture.connection();
    connection.batch_execute("BEGIN; SELECT FROM outbox WHERE id = 2 FOR UPDATE").unwrap();
    assert_eq!(fixture.send(&[&one, &two], 10).await, [(0, 0), (1, 0)]);
    connection.batch_execute("ROLLBACK").unwrap();
    assert_eq!(fixture.send(&[&one, &two], 10).await, [(0, 1), (0, 2), (0, 3)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_and_payload_survive_as_they_are() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 1).await;
    fixture.send(&[&draft], 1).await;
    let record = domain::Record {
        topic: "a.topic".to_owned(),
        key: "key \" 😀".to_owned(),
        headers: vec![
            ("b".to_owned(), "\0 \" 😀".to_owned()),
            ("a".to_owned(), String::new()),
            ("b".to_owned(), "2".to_owned()),
        ],
        payload: (0..=255).cycle().take(1_000_000).collect(),
    };
    fixture.store.enqueue_records(vec![(draft.id, record.clone())], fixture.now()).await.unwrap();
    assert_eq!(request(&fixture.lease(1).await.1[0]), &record);
}
