//! Dispatchers that fail in every way they can, all at once, never overtake a record of an export.

use std::{collections::HashMap, sync::Mutex};

use chrono::TimeDelta;
use diesel::connection::SimpleConnection as _;
use domain::ids::LeaseToken;
use futures_util::future::join_all;
use store::{LeasedRecord, OutboxKind::Request};

use crate::{
    random::Random,
    support::{Fixture, owner, request},
};

const EXPORTS: usize = 12;
const SOURCES: usize = 8;

/// What the broker has got.
#[derive(Default)]
struct Broker {
    /// The rows of each export in the order of their first delivery.
    first: Mutex<HashMap<String, Vec<i64>>>,
    deliveries: Mutex<usize>,
    /// Rows that were set aside, which lose their place.
    parked: Mutex<Vec<i64>>,
}

impl Broker {
    fn deliver(&self, row: &LeasedRecord) {
        *self.deliveries.lock().unwrap() += 1;
        let mut deliveries = self.first.lock().unwrap();
        let of_export = deliveries.entry(request(row).key.clone()).or_default();
        if !of_export.contains(&row.id) {
            of_export.push(row.id);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn records_of_an_export_are_first_delivered_in_order_whatever_fails() {
    let fixture = Fixture::new().await;
    let (mut deliveries, mut wanted) = (0, 0);
    for round in 0..8 {
        let mut keys = Vec::new();
        for _ in 0..EXPORTS {
            keys.push(fixture.create(&owner("jdoe"), SOURCES).await.id.to_string());
        }
        let of_export = |key| {
            format!(
                "SELECT id::text AS t FROM outbox WHERE kind = 'request' AND record_key = '{key}' ORDER BY id"
            )
        };
        let ids =
            |key| fixture.texts(&of_export(key)).iter().map(|id| id.parse().unwrap()).collect::<Vec<i64>>();
        let written: Vec<_> = keys.iter().map(ids).collect();
        let broker = Broker::default();
        let dispatchers = (0..6).map(|seed| dispatch(&fixture, &broker, Random::seeded(round * 6 + seed)));
        tokio::select! {
            _ = join_all(dispatchers) => {}
            () = lock_at_random(&fixture) => {}
        }
        let (parked, delivered) = (broker.parked.into_inner().unwrap(), broker.first.into_inner().unwrap());
        for (key, ids) in keys.iter().zip(&written) {
            let kept =
                |ids: &Vec<i64>| ids.iter().copied().filter(|id| !parked.contains(id)).collect::<Vec<_>>();
            let got = delivered.get(key).map(kept).unwrap_or_default();
            assert_eq!(got, kept(ids), "round {round}, parked {parked:?}");
        }
        deliveries += broker.deliveries.into_inner().unwrap();
        wanted += EXPORTS * SOURCES - parked.len();
    }
    // Otherwise nothing was sent twice, and little was tested.
    assert!(deliveries > wanted, "{deliveries} deliveries of {wanted} records");
}

/// Sends until the outbox is empty, as a dispatcher that crashes, stalls and meets errors. Its clock may
/// differ from that of the others by some seconds.
async fn dispatch(fixture: &Fixture, broker: &Broker, mut random: Random) {
    let skew = TimeDelta::seconds(i64::try_from(random.below(8)).unwrap() - 4);
    while fixture.store.outbox_depth(Request).await.unwrap().waiting > 0 {
        let (token, now) = (LeaseToken::random(), fixture.now() + skew);
        let limit = 1 + u32::try_from(random.below(20)).unwrap();
        let until = now + TimeDelta::seconds(10);
        let leased = fixture.store.lease_records(Request, token, now, until, limit).await.unwrap();
        let mut outcome = Outcome::default();
        for row in &leased {
            stall(fixture, &mut random).await;
            if outcome.stopped.contains(&request(row).key) {
                outcome.untried.push(row.id);
                continue;
            }
            match random.below(12) {
                0 => {
                    outcome.failed.push(row.id);
                    outcome.stopped.push(request(row).key.clone());
                }
                1 if random.one_in(4) => {
                    broker.parked.lock().unwrap().push(row.id);
                    outcome.parked.push(row.id);
                }
                _ => {
                    broker.deliver(row);
                    outcome.sent.push(row.id);
                }
            }
        }
        // A crash: nothing is settled, the leases run out.
        if !random.one_in(5) {
            settle(fixture, token, outcome, &mut random, skew).await;
        }
        fixture.clock.advance(TimeDelta::milliseconds(500));
    }
}

#[derive(Default)]
struct Outcome {
    sent: Vec<i64>,
    failed: Vec<i64>,
    parked: Vec<i64>,
    untried: Vec<i64>,
    /// Exports of which no more is sent in this batch.
    stopped: Vec<String>,
}

async fn settle(
    fixture: &Fixture,
    token: LeaseToken,
    outcome: Outcome,
    random: &mut Random,
    skew: TimeDelta,
) {
    let store = &fixture.store;
    let now = fixture.now() + skew;
    store.finish_records(token, outcome.sent).await.unwrap();
    stall(fixture, random).await;
    store.return_records(token, outcome.untried, now, None).await.unwrap();
    stall(fixture, random).await;
    let later = now + TimeDelta::seconds(1 + i64::try_from(random.below(3)).unwrap());
    store.return_records(token, outcome.failed, later, Some("no".to_owned())).await.unwrap();
    for id in outcome.parked {
        store.park_record(token, id, "no".to_owned(), now).await.unwrap();
    }
}

/// Lets the others go on; now and then so long that leases run out.
async fn stall(fixture: &Fixture, random: &mut Random) {
    tokio::task::yield_now().await;
    if random.one_in(40) {
        fixture.clock.advance(TimeDelta::seconds(6));
    }
}

/// Locks rows for a moment and lets them go unchanged, as a deletion does that is rolled back.
async fn lock_at_random(fixture: &Fixture) {
    let (mut connection, mut random) = (fixture.connection(), Random::seeded(99));
    loop {
        let offset = random.below(EXPORTS * SOURCES);
        let lock =
            format!("BEGIN; SELECT FROM outbox ORDER BY id OFFSET {offset} LIMIT 3 FOR UPDATE SKIP LOCKED");
        connection.batch_execute(&lock).unwrap();
        tokio::task::yield_now().await;
        connection.batch_execute("ROLLBACK").unwrap();
        tokio::task::yield_now().await;
    }
}
