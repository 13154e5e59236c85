//! After expiry and deletion.

use chrono::TimeDelta;
use domain::{ExportDraft, ids::LeaseToken};
use futures_util::future::join_all;

use crate::support::{Fixture, owner};

impl Fixture {
    /// An export whose sources have all delivered.
    async fn completed(&self, sources: usize) -> ExportDraft {
        let draft = self.create(&owner("jdoe"), sources).await;
        for source in &draft.sources {
            self.deliver(draft.id, source.id, 1).await;
        }
        draft
    }

    fn rows(&self, table: &str) -> i64 {
        self.number(&format!("SELECT count(*) AS n FROM {table}"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_export_is_purged_after_the_grace_and_its_objects_queued() {
    let fixture = Fixture::new().await;
    let draft = fixture.completed(2).await;
    let running = fixture.create(&owner("jdoe"), 1).await;
    let attempt = fixture.begin(running.id, running.sources[0].id).await;
    let deleted_at = fixture.now();
    for id in [draft.id, running.id] {
        fixture.store.delete_export(owner("jdoe"), id, deleted_at).await.unwrap();
    }
    assert_eq!(fixture.number("SELECT count(*) AS n FROM exports WHERE requester_identity IS NOT NULL"), 0);
    let moment_before = deleted_at - TimeDelta::microseconds(1);
    assert_eq!(fixture.store.release_deleted(moment_before, deleted_at, 10).await.unwrap(), 0);
    assert_eq!((fixture.rows("exports"), fixture.queued_keys().len()), (2, 0));
    assert_eq!(fixture.store.release_deleted(deleted_at, deleted_at, 10).await.unwrap(), 2);
    for table in ["exports", "resources", "manifests", "outbox WHERE kind <> 'lifecycle'"] {
        assert_eq!(fixture.rows(table), 0, "{table}");
    }
    assert_eq!((fixture.queued_keys().len(), fixture.attempts()), (2, 1));
    fixture.store.abandon_upload(attempt.id, deleted_at).await.unwrap();
    assert_eq!(fixture.queued_keys().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_export_is_released_then_purged() {
    let fixture = Fixture::new().await;
    let (complete, pending) = (fixture.completed(2).await, fixture.create(&owner("jdoe"), 2).await);
    fixture.clock.advance(TimeDelta::days(7));
    let now = fixture.now();
    let moment_before = now - TimeDelta::microseconds(1);
    assert_eq!(fixture.store.release_expired(moment_before, now, 10).await.unwrap(), 0);
    assert_eq!(fixture.store.release_expired(now, now, 10).await.unwrap(), 2);
    assert_eq!(fixture.store.release_expired(now, now, 10).await.unwrap(), 0);
    assert_eq!(fixture.queued_keys().len(), 2);
    for table in
        ["manifests", "outbox WHERE kind <> 'lifecycle'", "exports WHERE requester_identity IS NOT NULL"]
    {
        assert_eq!(fixture.rows(table), 0, "{table}");
    }
    for (draft, status) in [(&complete, "complete"), (&pending, "pending")] {
        let found = fixture.store.find_export(owner("jdoe"), draft.id, fixture.now()).await.unwrap().unwrap();
        assert_eq!((found.export.status.as_str(), found.resources.len()), (status, 2));
        let download = fixture.store.find_download(owner("jdoe"), draft.id, now).await.unwrap();
        assert_eq!(download, store::Downloadable::Expired);
    }
    assert_eq!(fixture.store.purge_expired(moment_before, 10).await.unwrap(), 0);
    assert_eq!(fixture.store.purge_expired(now, 10).await.unwrap(), 2);
    assert_eq!((fixture.rows("exports"), fixture.rows("resources")), (0, 0));
    assert_eq!(fixture.queued_keys().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_released_export_that_is_deleted_goes_with_the_deleted_ones() {
    let fixture = Fixture::new().await;
    let draft = fixture.completed(1).await;
    let late = draft.expires_at;
    fixture.store.release_expired(late, late, 10).await.unwrap();
    fixture.store.delete_export(owner("jdoe"), draft.id, late).await.unwrap();
    assert_eq!(fixture.store.purge_expired(late, 10).await.unwrap(), 0);
    assert_eq!(fixture.store.release_deleted(late, late, 10).await.unwrap(), 1);
    assert_eq!((fixture.rows("exports"), fixture.queued_keys().len()), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_expires_first_hands_over_its_object_once_the_archive_is_without_it() {
    let fixture = Fixture::new().await;
    let mut draft = fixture.draft("Nightly", 2);
    draft.sources[0].expires_at = fixture.now() + TimeDelta::days(1);
    fixture.create_from(&owner("jdoe"), &draft).await;
    let early = fixture.begin(draft.id, draft.sources[0].id).await;
    fixture.settle(&early, 1).await;
    fixture.deliver(draft.id, draft.sources[1].id, 2).await;
    fixture.clock.advance(TimeDelta::days(1));
    let now = fixture.now();
    let moment_before = now - TimeDelta::microseconds(1);
    assert_eq!(fixture.store.release_expired_sources(moment_before, now, 10).await.unwrap(), 0);
    assert_eq!(fixture.store.release_expired_sources(now, now, 10).await.unwrap(), 1);
    assert_eq!(fixture.store.release_expired_sources(now, now, 10).await.unwrap(), 0);
    assert_eq!(fixture.queued_keys(), [early.object_key.as_str()]);
    assert!(
        fixture.texts("SELECT document AS t FROM manifests").iter().all(|t| !t.contains(&early.object_key))
    );
    // The release of the export does not hand it over a second time.
    fixture.store.release_expired(draft.expires_at, now, 10).await.unwrap();
    assert_eq!(fixture.queued_keys().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn exports_that_cannot_be_read_do_not_hold_up_the_sources_of_others() {
    let fixture = Fixture::new().await;
    let mut drafts = Vec::new();
    for _ in 0..3 {
        let mut draft = fixture.draft("Nightly", 2);
        draft.sources[0].expires_at = fixture.now() + TimeDelta::hours(1);
        fixture.create_from(&owner("jdoe"), &draft).await;
        for source in &draft.sources {
            fixture.deliver(draft.id, source.id, 1).await;
        }
        drafts.push(draft);
    }
    drafts[..2].iter().for_each(|draft| fixture.spoil(draft));
    let late = fixture.now() + TimeDelta::hours(1);
    assert_eq!(fixture.store.release_expired_sources(late, late, 1).await.unwrap(), 1);
    assert_eq!(fixture.store.release_expired_sources(late, late, 1).await.unwrap(), 0);
    let queued = fixture.queued_keys();
    assert!(queued.len() == 1 && queued[0].starts_with(&drafts[2].id.to_string()), "{queued:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_reapers_share_the_work_in_batches() {
    let fixture = Fixture::new().await;
    for place in 0..24 {
        let mut draft = fixture.draft("Nightly", 3);
        draft.sources[0].expires_at = fixture.now() + TimeDelta::days(1);
        fixture.create_from(&owner("jdoe"), &draft).await;
        for source in &draft.sources {
            fixture.deliver(draft.id, source.id, 1).await;
        }
        if place % 2 == 0 {
            fixture.store.delete_export(owner("jdoe"), draft.id, fixture.now()).await.unwrap();
        }
    }
    let late = fixture.now() + TimeDelta::days(8);
    let reapers = (0..4).map(|_| async {
        let (store, mut done, mut idle) = (&fixture.store, [0; 4], 0);
        while idle < 20 {
            let step = [
                store.release_deleted(late, late, 2).await.unwrap(),
                store.release_expired_sources(late, late, 2).await.unwrap(),
                store.release_expired(late, late, 2).await.unwrap(),
                store.purge_expired(late, 2).await.unwrap(),
            ];
            idle = if step == [0; 4] { idle + 1 } else { 0 };
            assert!(step.iter().all(|count| *count <= 2), "{step:?}");
            done.iter_mut().zip(step).for_each(|(sum, count)| *sum += count);
        }
        done
    });
    let done = join_all(reapers).await;
    let sum = |what: usize| done.iter().map(|done| done[what]).sum::<usize>();
    assert_eq!((sum(0), sum(2), sum(3)), (12, 12, 12));
    assert_eq!((fixture.rows("exports"), fixture.queued_keys().len()), (0, 72));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plan_of_a_dry_run_is_what_is_then_done() {
    let fixture = Fixture::new().await;
    let mut early = fixture.draft("Nightly", 2);
    early.sources[0].expires_at = fixture.now() + TimeDelta::days(1);
    fixture.create_from(&owner("jdoe"), &early).await;
    fixture.deliver(early.id, early.sources[0].id, 1).await;
    let deleted = fixture.completed(1).await;
    fixture.store.delete_export(owner("jdoe"), deleted.id, fixture.now()).await.unwrap();
    let released = fixture.completed(1).await;
    let long_ago = fixture.now();
    fixture.store.release_expired(released.expires_at, long_ago, 2).await.unwrap();
    fixture.begin(early.id, early.sources[1].id).await;

    fixture.clock.advance(TimeDelta::days(2));
    let now = fixture.now();
    let plan = fixture.store.reap_plan(now, long_ago, now).await.unwrap();
    let store = &fixture.store;
    let leased = store.lease_object_deletions(LeaseToken::random(), now, now, 10).await.unwrap();
    let count = |done: usize| i64::try_from(done).unwrap();
    let done = store::ReapPlan {
        objects: count(leased.len()),
        deleted: count(store.release_deleted(now, now, 10).await.unwrap()),
        expired_sources: count(store.release_expired_sources(now, now, 10).await.unwrap()),
        expired: count(store.release_expired(now, now, 10).await.unwrap()),
        purges: count(store.purge_expired(long_ago, 10).await.unwrap()),
        uploads: count(store.expire_uploads(now, 10).await.unwrap()),
    };
    assert_eq!(plan, done);
}
