//! The count of a listing is exact, whatever happens at the same time.

use chrono::TimeDelta;
use domain::{ListQuery, ids::ExportId};
use futures_util::future::join_all;

use crate::{
    random::Random,
    support::{Fixture, owner},
};

/// Owners whose count is not the number of their exports, in one snapshot.
const WRONG_COUNTS: &str = "SELECT count(*) AS n FROM owners o WHERE o.export_count \
    + (SELECT coalesce(sum(delta), 0) FROM export_count_deltas d WHERE d.owner_id = o.id) \
    <> (SELECT count(*) FROM exports e WHERE e.owner_id = o.id AND e.deleted_at IS NULL)";

/// How many changes of counts wait to be folded.
const UNFOLDED: &str = "SELECT count(*) AS n FROM export_count_deltas";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn counts_are_exact_in_every_snapshot_while_everything_happens_at_once() {
    let fixture = Fixture::new().await;
    let workers = (0..6).map(|seed| work(&fixture, seed));
    let watch = async {
        let mut connection = fixture.connection();
        loop {
            assert_eq!(crate::support::number(&mut connection, WRONG_COUNTS), 0);
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = watch => {}
        _ = join_all(workers) => {}
    }
    while fixture.number(UNFOLDED) > 0 {
        assert!(fixture.store.fold_export_counts(1).await.unwrap() > 0);
        assert_eq!(fixture.number(WRONG_COUNTS), 0);
    }
    for username in ["a", "b"] {
        let query = ListQuery { limit: 1000, ..ListQuery::default() };
        let page = fixture.store.list_exports(owner(username), query).await.unwrap();
        assert_eq!(page.count, page.exports.len() as u64);
    }
}

/// Does things at random to the exports of two owners.
async fn work(fixture: &Fixture, seed: u64) {
    let mut random = Random::seeded(seed);
    let mut mine: Vec<(domain::Owner, ExportId)> = Vec::new();
    for _ in 0..60 {
        let now = fixture.now();
        let late = now + TimeDelta::days(8);
        let store = &fixture.store;
        match random.below(8) {
            0..=3 => {
                let owner = owner(["a", "b"][random.below(2)]);
                let mut draft = fixture.draft("Nightly", 1);
                // Some have expired as they are made.
                draft.expires_at -= TimeDelta::days(8 * i64::from(random.one_in(2)));
                fixture.create_from(&owner, &draft).await;
                mine.push((owner, draft.id));
            }
            4 if !mine.is_empty() => {
                let (owner, id) = mine.swap_remove(random.below(mine.len()));
                store.delete_export(owner, id, now).await.unwrap();
            }
            5 => {
                store.release_deleted(now, now, 3).await.unwrap();
            }
            6 => {
                let at = if random.one_in(8) { late } else { now };
                store.release_expired(at, at, 3).await.unwrap();
                store.purge_expired(now, 3).await.unwrap();
            }
            _ => {
                store.fold_export_counts(random.below(3)).await.unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_deleted_after_its_release_is_counted_down_once() {
    let fixture = Fixture::new().await;
    let jdoe = owner("jdoe");
    let (kept, deleted) = (fixture.create(&jdoe, 1).await, fixture.create(&jdoe, 1).await);
    let late = kept.expires_at;
    assert_eq!(fixture.store.release_expired(late, late, 10).await.unwrap(), 2);
    assert!(fixture.store.delete_export(jdoe.clone(), deleted.id, late).await.unwrap());
    fixture.store.release_deleted(late, late, 10).await.unwrap();
    assert_eq!(fixture.store.list_exports(jdoe.clone(), ListQuery::default()).await.unwrap().count, 1);
    fixture.store.purge_expired(late, 10).await.unwrap();
    assert_eq!(fixture.number(WRONG_COUNTS), 0);
    assert_eq!(fixture.number("SELECT count(*) AS n FROM exports"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn folding_leaves_the_count_as_it_was() {
    let fixture = Fixture::new().await;
    for username in ["a", "b", "c"] {
        for _ in 0..4 {
            fixture.create(&owner(username), 1).await;
        }
    }
    assert_eq!(fixture.store.fold_export_counts(2).await.unwrap(), 2);
    assert_eq!(fixture.number(UNFOLDED), 4);
    assert_eq!(fixture.store.fold_export_counts(2).await.unwrap(), 1);
    assert_eq!(fixture.store.fold_export_counts(2).await.unwrap(), 0);
    assert_eq!(fixture.number("SELECT sum(export_count)::bigint AS n FROM owners"), 12);
    assert_eq!(fixture.store.list_exports(owner("b"), ListQuery::default()).await.unwrap().count, 4);
}
