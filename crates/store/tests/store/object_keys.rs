//! Every object that may have been stored is known to a row until it is deleted.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use domain::{
    ExportStatus,
    ids::{ExportId, LeaseToken},
};
use futures_util::future::join_all;
use store::{AnswerOutcome, NewAttempt};

use crate::{
    random::Random,
    support::{Fixture, owner},
};

/// Keys that a row knows.
const KNOWN: &str = "SELECT object_key AS t FROM resources WHERE object_key IS NOT NULL AND object_released_at IS NULL \
    UNION ALL SELECT object_key FROM resource_pieces UNION ALL SELECT object_key FROM upload_attempts \
    UNION ALL SELECT object_key FROM upload_pieces UNION ALL SELECT object_key FROM object_deletions";

impl Fixture {
    /// Fails unless exactly one row knows each of these objects, in one snapshot.
    fn assert_known(&self, everything: &BTreeSet<String>) {
        let keys = self.texts(KNOWN);
        let known: BTreeSet<String> = keys.iter().cloned().collect();
        assert_eq!(known.len(), keys.len(), "an object is claimed twice: {keys:?}");
        let forgotten: Vec<_> = everything.difference(&known).collect();
        assert!(forgotten.is_empty(), "no row knows {forgotten:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_lease_ran_out_is_refused_and_its_object_deleted() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 1).await;
    let attempt = fixture.begin(draft.id, draft.sources[0].id).await;
    assert_eq!(fixture.store.expire_uploads(fixture.now(), 10).await.unwrap(), 0);
    fixture.clock.advance(TimeDelta::minutes(1));
    assert_eq!(fixture.store.expire_uploads(fixture.now(), 10).await.unwrap(), 1);
    assert_eq!(fixture.settle(&attempt, 1).await, AnswerOutcome::LeaseLost);
    assert_eq!(fixture.queued_keys(), [attempt.object_key]);
    assert_eq!(fixture.attempts(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_stored_after_its_deletion_is_deleted_again() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 1).await;
    let attempt = fixture.begin(draft.id, draft.sources[0].id).await;
    let delete = async |finish: bool| {
        let (token, now) = (LeaseToken::random(), fixture.now());
        let leased =
            fixture.store.lease_object_deletions(token, now, now + TimeDelta::minutes(2), 10).await.unwrap();
        assert_eq!(leased.len(), 1);
        if finish {
            fixture.store.finish_object_deletions(token, vec![attempt.object_key.clone()]).await.unwrap();
        }
        token
    };
    fixture.clock.advance(TimeDelta::minutes(1));
    fixture.store.expire_uploads(fixture.now(), 10).await.unwrap();
    // It was deleted before its bytes arrived.
    delete(true).await;
    assert_eq!(fixture.settle(&attempt, 1).await, AnswerOutcome::LeaseLost);
    assert_eq!(fixture.queued_keys(), [attempt.object_key.as_str()]);
    // They arrive, once more, between the deletion and its settling.
    let before = delete(false).await;
    assert_eq!(fixture.settle(&attempt, 1).await, AnswerOutcome::LeaseLost);
    fixture.store.finish_object_deletions(before, vec![attempt.object_key.clone()]).await.unwrap();
    assert_eq!(fixture.queued_keys(), [attempt.object_key.as_str()]);
    delete(true).await;
    assert!(fixture.queued_keys().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn settling_again_after_a_lost_reply_repeats_and_keeps_the_object() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 1).await;
    let attempt = fixture.begin(draft.id, draft.sources[0].id).await;
    assert_eq!(fixture.settle(&attempt, 1).await, AnswerOutcome::Settled(ExportStatus::Complete));
    assert_eq!(fixture.settle(&attempt, 1).await, AnswerOutcome::Repeated);
    fixture.store.abandon_upload(attempt.id, fixture.now()).await.unwrap();
    assert!(fixture.queued_keys().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_given_up_upload_hands_over_its_object_and_its_multipart_upload() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 1).await;
    let attempt = fixture.begin(draft.id, draft.sources[0].id).await;
    assert!(fixture.store.note_multipart(attempt.id, "upload-7".to_owned()).await.unwrap());
    fixture.store.abandon_upload(attempt.id, fixture.now()).await.unwrap();
    fixture.store.abandon_upload(attempt.id, fixture.now()).await.unwrap();
    assert!(!fixture.store.note_multipart(attempt.id, "upload-8".to_owned()).await.unwrap());
    let (token, now) = (LeaseToken::random(), fixture.now());
    let leased =
        fixture.store.lease_object_deletions(token, now, now + TimeDelta::minutes(2), 10).await.unwrap();
    assert_eq!(leased.len(), 1);
    assert_eq!((leased[0].store_upload_id.as_deref(), leased[0].attempts), (Some("upload-7"), 1));
    assert_eq!(leased[0].object_key, attempt.object_key);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_renewed_until_the_upload_is_given_up_or_its_export_deleted() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 1).await;
    let attempt = fixture.begin(draft.id, draft.sources[0].id).await;
    fixture.clock.advance(TimeDelta::minutes(1));
    assert!(fixture.store.renew_upload(attempt.id, fixture.now() + TimeDelta::minutes(1), 0).await.unwrap());
    assert_eq!(fixture.store.expire_uploads(fixture.now(), 10).await.unwrap(), 0);
    fixture.store.delete_export(owner("jdoe"), draft.id, fixture.now()).await.unwrap();
    assert!(!fixture.store.renew_upload(attempt.id, fixture.now() + TimeDelta::hours(1), 0).await.unwrap());
    fixture.clock.advance(TimeDelta::minutes(1));
    assert_eq!(fixture.store.expire_uploads(fixture.now(), 10).await.unwrap(), 1);
    assert!(!fixture.store.renew_upload(attempt.id, fixture.now() + TimeDelta::hours(1), 0).await.unwrap());
}

/// Uploads, expiries of their leases, deletions, releases and purges, all at once and at random, the clock
/// of the reaper a month ahead. Whatever their order, each object is known to exactly one row until its
/// deletion has been settled.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_object_is_forgotten_in_any_interleaving() {
    let fixture = Fixture::new().await;
    let mut everything = BTreeSet::new();
    for round in 0..20 {
        let draft = fixture.create(&owner("jdoe"), 3).await;
        let mut begun = Vec::new();
        for place in 0..12 {
            begun.push(fixture.begin(draft.id, draft.sources[place % 3].id).await);
        }
        everything.extend(begun.iter().map(|attempt| attempt.object_key.clone()));
        let seeds = (round * 100..).map(Random::seeded);
        let uploads = begun.iter().zip(seeds).map(|(attempt, random)| upload(&fixture, attempt, random));
        let meddling = meddle(&fixture, draft.id, &everything, Random::seeded(round));
        tokio::join!(join_all(uploads), meddling);
        fixture.assert_known(&everything);
        assert_eq!(fixture.attempts(), 0);
    }
    let late = fixture.now() + TimeDelta::days(30);
    while fixture.store.release_expired(late, late, 5).await.unwrap() > 0 {}
    assert_eq!(fixture.queued_keys().len(), everything.len());
}

async fn upload(fixture: &Fixture, attempt: &NewAttempt, mut random: Random) {
    for _ in 0..random.below(30) {
        tokio::task::yield_now().await;
    }
    if random.one_in(6) {
        fixture.store.abandon_upload(attempt.id, fixture.now()).await.unwrap();
    } else {
        fixture.settle(attempt, u8::from(random.one_in(2))).await;
    }
}

async fn meddle(fixture: &Fixture, export_id: ExportId, everything: &BTreeSet<String>, mut random: Random) {
    let (store, late) = (&fixture.store, fixture.now() + TimeDelta::days(30));
    for _ in 0..8 {
        match random.below(5) {
            0 | 1 => {
                store.expire_uploads(late, 2).await.unwrap();
            }
            2 if random.one_in(3) => {
                store.delete_export(owner("jdoe"), export_id, fixture.now()).await.unwrap();
            }
            3 if random.one_in(3) => {
                store.release_expired(late, late, 1).await.unwrap();
            }
            4 => {
                store.release_deleted(late, late, 1).await.unwrap();
                store.purge_expired(late, 1).await.unwrap();
            }
            _ => fixture.assert_known(everything),
        }
    }
}
