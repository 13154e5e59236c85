//! The archive of an export as its sources expire.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::connection::SimpleConnection as _;
use domain::{ExportDraft, Manifest, ids::AttemptId};
use futures_util::future::join_all;
use store::{Downloadable, NewAttempt, StoreError};

use crate::support::{Fixture, Held, draft, owner};

/// An export of now with four sources. The first two expire a day after its creation, the third two days
/// after, the last with the export.
fn expiring(now: DateTime<Utc>) -> ExportDraft {
    let mut draft = draft("Nightly", 4, now);
    for (source, days) in draft.sources.iter_mut().zip([1, 1, 2]) {
        source.expires_at = now + TimeDelta::days(days);
    }
    draft
}

impl Fixture {
    /// Delivers all sources, under keys that follow from the export.
    async fn complete(&self, draft: &ExportDraft) {
        self.create_from(&owner("jdoe"), draft).await;
        for (source, fill) in draft.sources.iter().zip(1..) {
            let attempt = NewAttempt {
                id: AttemptId::random(),
                export_id: draft.id,
                resource_id: source.id,
                object_key: format!("{}/{fill}", draft.id),
                lease_expires_at: self.now() + TimeDelta::minutes(1),
            };
            self.store.begin_upload(attempt.clone()).await.unwrap();
            self.settle(&attempt, fill).await;
        }
    }

    async fn manifest(&self, draft: &ExportDraft, days: i64) -> Manifest {
        let at = draft.created_at + TimeDelta::days(days);
        let download = self.store.find_download(owner("jdoe"), draft.id, at).await.unwrap();
        let Downloadable::Ready(manifest) = download else { panic!("{download:?}") };
        *manifest
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_expires_leaves_the_archive_at_its_moment() {
    let fixture = Fixture::new().await;
    let draft = expiring(fixture.now());
    fixture.complete(&draft).await;
    let revisions = [(0, 1, 4), (1, 2, 2), (2, 3, 1), (6, 3, 1)];
    for (days, revision, members) in revisions {
        let manifest = fixture.manifest(&draft, days).await;
        assert_eq!((manifest.revision, manifest.members.len()), (revision, members), "day {days}");
    }
    let before = fixture.manifest(&draft, 2).await;
    assert_eq!(before.as_of, draft.created_at + TimeDelta::days(2));
    let expired = fixture.store.find_download(owner("jdoe"), draft.id, draft.expires_at).await.unwrap();
    assert_eq!(expired, Downloadable::Expired);
    // The sources themselves stay what they were.
    let found = fixture.store.find_export(owner("jdoe"), draft.id, fixture.now()).await.unwrap().unwrap();
    assert!(found.resources.iter().all(|resource| resource.state.as_str() == "complete"));
    assert_eq!(found.export.status.as_str(), "complete");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_is_the_same_whoever_freezes_it_and_when() {
    // The same export in three databases.
    let [often, once, reaped] = [Fixture::new().await, Fixture::new().await, Fixture::new().await];
    let draft = expiring(often.now());
    for fixture in [&often, &once, &reaped] {
        fixture.complete(&draft).await;
    }
    for days in 0..=3 {
        often.manifest(&draft, days).await;
    }
    let late = draft.created_at + TimeDelta::days(3);
    assert_eq!(reaped.store.release_expired_sources(late, late, 10).await.unwrap(), 1);
    let expected = often.manifest(&draft, 3).await;
    assert_eq!(once.manifest(&draft, 3).await, expected);
    assert_eq!(reaped.manifest(&draft, 3).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_of_another_layout_is_frozen_anew_under_a_tag_of_its_own() {
    let fixture = Fixture::new().await;
    let draft = expiring(fixture.now());
    fixture.complete(&draft).await;
    let before = fixture.manifest(&draft, 0).await;
    let relaid =
        "UPDATE manifests SET document = replace(document, '\"layout_version\":1', '\"layout_version\":0')";
    for (days, revision, members) in [(0, 2, 4), (1, 4, 2)] {
        fixture.connection().batch_execute(relaid).unwrap();
        let after = fixture.manifest(&draft, days).await;
        assert_eq!((after.layout_version, after.revision, after.members.len()), (1, revision, members));
        assert_ne!(after.etag, before.etag);
        assert_eq!(fixture.manifest(&draft, days).await, after);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_is_served_as_it_was_frozen() {
    let fixture = Fixture::new().await;
    let draft = expiring(fixture.now());
    fixture.complete(&draft).await;
    let tag = fixture.manifest(&draft, 0).await.etag;
    // As if this version wrote manifests otherwise than the one that froze it.
    let frozen = format!("UPDATE manifests SET document = replace(document, '{tag}', 'of-another-version')");
    fixture.connection().batch_execute(&frozen).unwrap();
    assert_eq!(fixture.manifest(&draft, 0).await.etag, "of-another-version");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_is_released_while_a_download_looks_at_it_has_expired() {
    let fixture = Fixture::new().await;
    let draft = expiring(fixture.now());
    fixture.complete(&draft).await;
    let mut held = Held::row_of(&fixture, &draft);
    let (store, id, later) = (fixture.store.clone(), draft.id, draft.created_at + TimeDelta::days(1));
    let download = tokio::spawn(async move { store.find_download(owner("jdoe"), id, later).await });
    held.awaited_by(1).await;
    let release = "DELETE FROM manifests; UPDATE exports SET released_at = now(); COMMIT";
    held.holder.batch_execute(release).unwrap();
    assert_eq!(download.await.unwrap().unwrap(), Downloadable::Expired);
}

#[tokio::test(flavor = "multi_thread")]
async fn downloads_that_freeze_a_revision_at_once_get_the_same_one() {
    let fixture = Fixture::new().await;
    let draft = expiring(fixture.now());
    fixture.complete(&draft).await;
    let manifests = join_all((0..30).map(|_| fixture.manifest(&draft, 2))).await;
    assert!(manifests.iter().all(|manifest| *manifest == manifests[0]));
    assert_eq!(manifests[0].revision, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_expired_before_the_last_answer_is_never_in_the_archive() {
    let fixture = Fixture::new().await;
    let draft = expiring(fixture.now());
    fixture.create_from(&owner("jdoe"), &draft).await;
    fixture.deliver(draft.id, draft.sources[0].id, 1).await;
    fixture.clock.advance(TimeDelta::days(1));
    let released = fixture.store.release_expired_sources(fixture.now(), fixture.now(), 10).await.unwrap();
    assert_eq!((released, fixture.queued_keys().len()), (1, 1));
    for source in &draft.sources[1..] {
        fixture.deliver(draft.id, source.id, 2).await;
    }
    let manifest = fixture.manifest(&draft, 1).await;
    assert_eq!((manifest.revision, manifest.members.len()), (1, 2));
    assert_eq!(fixture.manifest(&draft, 2).await.revision, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_whose_files_have_all_expired_still_says_what_was_in_it() {
    let fixture = Fixture::new().await;
    let mut draft = draft("Nightly", 1, fixture.now());
    draft.sources[0].expires_at = fixture.now() - TimeDelta::days(1);
    fixture.complete(&draft).await;
    let manifest = fixture.manifest(&draft, 0).await;
    assert_eq!((manifest.members.len(), manifest.valid_until), (0, None));
    assert!(manifest.meta_json.contains("\"code\":410"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_a_newer_version_laid_out_is_left_to_it() {
    let fixture = Fixture::new().await;
    let draft = expiring(fixture.now());
    fixture.complete(&draft).await;
    let newer =
        "UPDATE manifests SET document = replace(document, '\"layout_version\":1', '\"layout_version\":3')";
    fixture.connection().batch_execute(newer).unwrap();
    let answer = fixture.store.find_download(owner("jdoe"), draft.id, draft.created_at).await;
    assert!(matches!(&answer, Err(StoreError::Unavailable { .. })), "{answer:?}");
    let kept =
        fixture.number("SELECT count(*) AS n FROM manifests WHERE document LIKE '%\"layout_version\":3%'");
    assert_eq!(kept, 1);
}
