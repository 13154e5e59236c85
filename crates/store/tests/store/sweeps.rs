//! The sweeps of object storage, the queue of deletions, and named leases.

use chrono::TimeDelta;
use domain::{
    ExportStatus, ResourceState, SourceError,
    ids::{ExportId, LeaseToken},
};
use futures_util::future::join_all;
use store::Downloadable;

use crate::support::{Fixture, owner};

#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_known_as_data_as_an_upload_and_as_waiting_for_deletion() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 2).await;
    let source = draft.sources[0].id;
    let data = fixture.begin(draft.id, source).await;
    fixture.settle(&data, 1).await;
    let (running, deleted) = (fixture.begin(draft.id, source).await, fixture.begin(draft.id, source).await);
    fixture.store.abandon_upload(deleted.id, fixture.now()).await.unwrap();
    let mine = [&data, &running, &deleted].map(|attempt| attempt.object_key.clone());
    let orphan = format!("{}/orphan", draft.id);
    let asked = mine.iter().chain([&orphan]).map(|key| (draft.id, key.clone())).collect();
    let known = fixture.store.known_objects(asked).await.unwrap();
    assert_eq!(known, mine.into());

    fixture.store.delete_orphans(vec![orphan.clone(), orphan.clone()], fixture.now()).await.unwrap();
    let known = fixture.store.known_objects(vec![(ExportId::random(), orphan.clone())]).await.unwrap();
    assert_eq!(known, [orphan].into());
    assert!(fixture.store.known_objects(Vec::new()).await.unwrap().is_empty());
    // After its release an object is known only as long as it waits for deletion.
    fixture.store.release_expired(draft.expires_at, fixture.now(), 10).await.unwrap();
    let (token, until) = (LeaseToken::random(), fixture.now() + TimeDelta::minutes(2));
    fixture.store.lease_object_deletions(token, fixture.now(), until, 10).await.unwrap();
    let done = fixture.store.finish_object_deletions(token, vec![data.object_key.clone()]).await.unwrap();
    assert_eq!(done, 1);
    let known = fixture.store.known_objects(vec![(draft.id, data.object_key)]).await.unwrap();
    assert!(known.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_objects_are_paged_and_leave_out_what_is_not_needed() {
    let fixture = Fixture::new().await;
    let mut expected = Vec::new();
    for place in 0..4 {
        let draft = fixture.create(&owner("jdoe"), 3).await;
        for source in &draft.sources[..2] {
            let attempt = fixture.begin(draft.id, source.id).await;
            fixture.settle(&attempt, 1).await;
            if place > 0 {
                expected.push(((draft.id, source.id), attempt.object_key));
            }
        }
        if place == 0 {
            fixture.store.delete_export(owner("jdoe"), draft.id, fixture.now()).await.unwrap();
        }
    }
    expected.sort();
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = fixture.store.stored_objects(after, fixture.now(), 4).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some((last.export_id(), last.resource_id()));
        found.extend(page.into_iter().map(|row| ((row.export_id(), row.resource_id()), row.object_key)));
    }
    assert_eq!(found, expected);
    let late = fixture.now() + TimeDelta::days(7);
    assert!(fixture.store.stored_objects(None, late, 10).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_object_fails_its_source_and_leaves_the_archive() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 2).await;
    for source in &draft.sources {
        fixture.deliver(draft.id, source.id, 1).await;
    }
    let ended = fixture.now();
    let stored = fixture.store.stored_objects(None, ended, 10).await.unwrap();
    let download =
        async || fixture.store.find_download(owner("jdoe"), draft.id, fixture.now()).await.unwrap();
    let Downloadable::Ready(before) = download().await else { panic!() };
    fixture.clock.advance(TimeDelta::days(1));
    let now = fixture.now();
    assert!(fixture.store.settle_lost_object(stored[0].clone(), now).await.unwrap());
    assert!(!fixture.store.settle_lost_object(stored[0].clone(), now).await.unwrap());

    let found = fixture.store.find_export(owner("jdoe"), draft.id, fixture.now()).await.unwrap().unwrap();
    assert_eq!((found.export.status, found.export.completed_at), (ExportStatus::Partial, Some(ended)));
    let lost = found.resources.iter().find(|resource| resource.id == stored[0].resource_id()).unwrap();
    assert_eq!(lost.state, ResourceState::Failed(SourceError::data_lost()));
    let Downloadable::Ready(after) = download().await else { panic!() };
    assert_eq!((after.revision, after.members.len()), (2, 1));
    assert_ne!(after.etag, before.etag);
    // Should it turn up again, it is deleted.
    assert_eq!(fixture.queued_keys(), [stored[0].object_key.as_str()]);

    assert!(fixture.store.settle_lost_object(stored[1].clone(), now).await.unwrap());
    assert_eq!(download().await, Downloadable::AllFailed);
    assert_eq!(fixture.number("SELECT count(*) AS n FROM manifests"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loss_counts_only_while_the_object_is_needed() {
    let fixture = Fixture::new().await;
    let mut drafts = Vec::new();
    for _ in 0..3 {
        let draft = fixture.create(&owner("jdoe"), 2).await;
        fixture.deliver(draft.id, draft.sources[0].id, 1).await;
        drafts.push(draft);
    }
    let stored = fixture.store.stored_objects(None, fixture.now(), 10).await.unwrap();
    let of = |place: usize| stored.iter().find(|row| row.export_id() == drafts[place].id).unwrap().clone();
    fixture.store.delete_export(owner("jdoe"), drafts[0].id, fixture.now()).await.unwrap();
    assert!(!fixture.store.settle_lost_object(of(0), fixture.now()).await.unwrap());
    // One that still runs goes on running.
    assert!(fixture.store.settle_lost_object(of(1), fixture.now()).await.unwrap());
    let running =
        fixture.store.find_export(owner("jdoe"), drafts[1].id, fixture.now()).await.unwrap().unwrap().export;
    assert_eq!((running.status, running.completed_at), (ExportStatus::Running, None));
    let last = fixture.deliver(drafts[1].id, drafts[1].sources[1].id, 1).await;
    assert_eq!(last, store::AnswerOutcome::Settled(ExportStatus::Partial));
    fixture.store.release_expired(drafts[2].expires_at, fixture.now(), 10).await.unwrap();
    assert!(!fixture.store.settle_lost_object(of(2), fixture.now()).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn several_reapers_never_share_a_deletion_and_only_the_holder_finishes_it() {
    let fixture = Fixture::new().await;
    let keys: Vec<_> = (0..50).map(|n| format!("key-{n:02}")).collect();
    fixture.store.delete_orphans(keys.clone(), fixture.now()).await.unwrap();
    let (now, until) = (fixture.now(), fixture.now() + TimeDelta::minutes(2));
    let lease = async |now| {
        let token = LeaseToken::random();
        (token, fixture.store.lease_object_deletions(token, now, until, 7).await.unwrap())
    };
    let leased = join_all((0..10).map(|_| lease(now))).await;
    let mut all: Vec<_> =
        leased.iter().flat_map(|(_, rows)| rows).map(|row| row.object_key.clone()).collect();
    all.sort();
    assert_eq!(all, keys);
    let (token, rows) = leased.iter().find(|(_, rows)| rows.len() > 1).unwrap();
    let mine: Vec<_> = rows.iter().map(|row| row.object_key.clone()).collect();
    assert_eq!(fixture.store.finish_object_deletions(LeaseToken::random(), mine.clone()).await.unwrap(), 0);
    let done = fixture.store.finish_object_deletions(*token, vec![mine[0].clone()]).await.unwrap();
    assert_eq!((done, fixture.queued_keys().len()), (1, 49));
    // What was not finished is due again when the lease ends, for whoever comes.
    let (_, again) = lease(until).await;
    assert!(again.iter().all(|row| row.attempts == 2));
    let late = fixture.store.finish_object_deletions(*token, mine).await.unwrap();
    assert!(late < rows.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_lease_has_one_holder_until_it_ends() {
    let fixture = Fixture::new().await;
    let (now, minute) = (fixture.now(), TimeDelta::minutes(1));
    let tokens: Vec<_> = (0..20).map(|_| LeaseToken::random()).collect();
    let take = async |token, at| fixture.store.take_lease("sweep", token, at, at + minute).await.unwrap();
    let taken = join_all(tokens.iter().map(|token| take(*token, now))).await;
    assert_eq!(taken.iter().filter(|taken| **taken).count(), 1);
    let holder = tokens[taken.iter().position(|taken| *taken).unwrap()];
    let other = LeaseToken::random();
    assert!(fixture.store.take_lease("another", other, now, now + minute).await.unwrap());
    assert!(!take(other, now + minute - TimeDelta::microseconds(1)).await);
    assert!(take(holder, now + minute / 2).await);
    assert!(!take(other, now + minute).await);
    assert!(take(other, now + minute + minute / 2).await);
    assert!(!take(holder, now + minute + minute / 2).await);
}
