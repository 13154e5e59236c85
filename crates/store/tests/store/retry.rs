//! A customer has a failed source asked once more.

use chrono::TimeDelta;
use domain::{Asking, ExportDraft, ExportStatus, Period, RequestEvent, ResourceState, SourceError};
use futures_util::future::join_all;
use store::{AnswerOutcome, Downloadable, Retry, RetryOutcome, RetrySource};

use crate::{
    ask_again::render,
    support::{Fixture, owner},
};

/// Within three hours, twice.
fn once_more(event: &RequestEvent) -> Retry {
    let asking = Asking { answer_within: Period::from_secs(3 * 3600), max_tries: 2 };
    Retry { record: render(event), asking }
}

fn retrying(draft: &ExportDraft, place: usize) -> RetrySource {
    RetrySource {
        owner: owner("jdoe"),
        export_id: draft.id,
        resource_id: draft.sources[place].id,
        identity: "a newer identity".to_owned(),
    }
}

impl Fixture {
    pub(crate) async fn retry(&self, draft: &ExportDraft, place: usize) -> RetryOutcome<&'static str> {
        self.retry_as(retrying(draft, place)).await
    }

    async fn retry_as(&self, source: RetrySource) -> RetryOutcome<&'static str> {
        self.store.retry_source(source, self.now(), |event| Ok(once_more(event))).await.unwrap()
    }

    pub(crate) async fn fail(&self, draft: &ExportDraft, place: usize) -> AnswerOutcome {
        let error = SourceError::new(404, "no such system");
        self.store.answer_with_error(draft.id, draft.sources[place].id, error, self.now()).await.unwrap()
    }

    async fn download(&self, draft: &ExportDraft) -> Downloadable {
        self.store.find_download(owner("jdoe"), draft.id, self.now()).await.unwrap()
    }

    async fn archive_of(&self, draft: &ExportDraft) -> domain::Manifest {
        match self.download(draft).await {
            Downloadable::Ready(manifest) => *manifest,
            other => panic!("{other:?}"),
        }
    }

    /// An export of three sources, of which the second has failed, all asked.
    async fn partial(&self) -> ExportDraft {
        let draft = self.create(&owner("jdoe"), 3).await;
        self.send_all().await;
        self.deliver(draft.id, draft.sources[0].id, 1).await;
        self.fail(&draft, 1).await;
        self.deliver(draft.id, draft.sources[2].id, 3).await;
        draft
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retried_source_is_pending_and_its_export_runs_until_it_settles() {
    let fixture = Fixture::new().await;
    let draft = fixture.partial().await;
    let before = fixture.archive_of(&draft).await;
    assert_eq!(fixture.retry(&draft, 1).await, RetryOutcome::Asked);

    let found = fixture.store.find_export(owner("jdoe"), draft.id, fixture.now()).await.unwrap().unwrap();
    assert_eq!((found.export.status, found.export.completed_at), (ExportStatus::Running, None));
    assert_eq!(found.resources[1].state, ResourceState::Pending);
    assert_eq!(fixture.download(&draft).await, Downloadable::NotReady);
    let sent = fixture.send_all().await;
    assert_eq!(sent, fixture.event_ids(&draft)[1..2]);
    assert_ne!(sent[0], draft.sources[1].event_id.to_string());

    let settled = fixture.deliver(draft.id, draft.sources[1].id, 2).await;
    assert_eq!(settled, AnswerOutcome::Settled(ExportStatus::Complete));
    let after = fixture.archive_of(&draft).await;
    assert_eq!((before.revision, after.revision), (1, 2));
    assert_ne!(before.etag, after.etag);
    // The other sources lie where they lay.
    let keys = |manifest: &domain::Manifest| {
        manifest.members.iter().map(|member| member.object_key.clone()).collect::<Vec<_>>()
    };
    assert_eq!([&keys(&after)[0], &keys(&after)[2]], [&keys(&before)[0], &keys(&before)[1]]);
    assert_eq!(fixture.queued_keys(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retried_source_that_fails_again_gives_a_new_revision_as_well_and_can_be_retried() {
    let fixture = Fixture::new().await;
    let draft = fixture.partial().await;
    let mut etags = vec![fixture.archive_of(&draft).await.etag];
    for revision in 2..5 {
        assert_eq!(fixture.retry(&draft, 1).await, RetryOutcome::Asked);
        assert_eq!(fixture.fail(&draft, 1).await, AnswerOutcome::Settled(ExportStatus::Partial));
        let manifest = fixture.archive_of(&draft).await;
        assert_eq!(manifest.revision, revision);
        etags.push(manifest.etag);
    }
    etags.sort();
    etags.dedup();
    assert_eq!(etags.len(), 4, "no ETag twice, although the clock stands still");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retried_source_has_a_deadline_and_tries_of_its_own_and_is_asked_with_the_newer_identity() {
    let fixture = Fixture::new().await;
    let draft = fixture.partial().await;
    fixture.clock.advance(TimeDelta::days(2));
    fixture.retry(&draft, 1).await;
    let stored = "SELECT requester_identity AS t FROM exports";
    assert_eq!(fixture.texts(stored), ["a newer identity"]);
    fixture.send_all().await;
    fixture.clock.advance(TimeDelta::hours(1));
    let asked = fixture.store.ask_again(fixture.now(), 10, |event| {
        assert_eq!(event.identity, "a newer identity");
        Some(render(event))
    });
    assert_eq!(asked.await.unwrap(), 1);
    fixture.clock.advance(TimeDelta::hours(2));
    assert_eq!(fixture.fail_overdue(10).await, 1);
    let found = fixture.store.find_export(owner("jdoe"), draft.id, fixture.now()).await.unwrap().unwrap();
    assert_eq!(found.resources[1].state, ResourceState::Failed(SourceError::deadline_passed(2)));
    assert_eq!(found.export.status, ExportStatus::Partial);
    assert_eq!(fixture.number("SELECT count(requester_identity) AS n FROM exports"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_failed_source_of_an_unexpired_export_of_ones_own_is_retried() {
    let fixture = Fixture::new().await;
    let draft = fixture.partial().await;
    let unchanged = fixture.texts("SELECT r::text AS t FROM resources r ORDER BY 1");
    assert_eq!(fixture.retry(&draft, 0).await, RetryOutcome::NotFailed);
    let stranger = RetrySource { owner: owner("other"), ..retrying(&draft, 1) };
    assert_eq!(fixture.retry_as(stranger).await, RetryOutcome::NoExport);
    let unknown = RetrySource { resource_id: domain::ids::ResourceId::random(), ..retrying(&draft, 1) };
    assert_eq!(fixture.retry_as(unknown).await, RetryOutcome::NoSource);
    let refused = fixture.store.retry_source(retrying(&draft, 1), fixture.now(), |_| Err("not offered"));
    assert_eq!(refused.await.unwrap(), RetryOutcome::Refused("not offered"));
    assert_eq!(fixture.texts("SELECT r::text AS t FROM resources r ORDER BY 1"), unchanged);
    assert_eq!(fixture.archive_of(&draft).await.revision, 1);
    fixture.clock.advance(TimeDelta::days(7));
    assert_eq!(fixture.retry(&draft, 1).await, RetryOutcome::Expired);
    fixture.store.delete_export(owner("jdoe"), draft.id, fixture.now()).await.unwrap();
    assert_eq!(fixture.retry(&draft, 1).await, RetryOutcome::NoExport);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_of_which_every_source_had_failed_gets_its_first_manifest_by_a_retry() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 2).await;
    for place in 0..2 {
        fixture.fail(&draft, place).await;
    }
    assert_eq!(fixture.retry(&draft, 0).await, RetryOutcome::Asked);
    let status = fixture.deliver(draft.id, draft.sources[0].id, 1).await;
    assert_eq!(status, AnswerOutcome::Settled(ExportStatus::Partial));
    assert_eq!(fixture.archive_of(&draft).await.revision, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_expires_while_another_is_retried_is_not_in_the_new_archive() {
    let fixture = Fixture::new().await;
    let mut draft = fixture.draft("Nightly", 2);
    draft.sources[0].expires_at = fixture.now() + TimeDelta::hours(1);
    fixture.create_from(&owner("jdoe"), &draft).await;
    fixture.deliver(draft.id, draft.sources[0].id, 1).await;
    fixture.fail(&draft, 1).await;
    assert_eq!(fixture.archive_of(&draft).await.members.len(), 1);
    fixture.retry(&draft, 1).await;
    fixture.clock.advance(TimeDelta::hours(2));
    let released = fixture.store.release_expired_sources(fixture.now(), fixture.now(), 10).await.unwrap();
    assert_eq!((released, fixture.queued_keys().len()), (1, 1));
    fixture.deliver(draft.id, draft.sources[1].id, 2).await;
    let manifest = fixture.archive_of(&draft).await;
    let names: Vec<_> = manifest.members.into_iter().map(|member| member.name).collect();
    assert_eq!(names, [format!("{}.json", draft.sources[1].id)]);
    // The same for one that failed: nobody could read it.
    fixture.store.delete_export(owner("jdoe"), draft.id, fixture.now()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_was_lost_and_is_delivered_once_more_is_released_like_any_other() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 1).await;
    fixture.deliver(draft.id, draft.sources[0].id, 1).await;
    let lost = fixture.store.stored_objects(None, fixture.now(), 1).await.unwrap().remove(0);
    assert!(fixture.store.settle_lost_object(lost, fixture.now()).await.unwrap());
    assert_eq!(fixture.retry(&draft, 0).await, RetryOutcome::Asked);
    fixture.deliver(draft.id, draft.sources[0].id, 2).await;
    assert_eq!(fixture.archive_of(&draft).await.members.len(), 1);
    fixture.clock.advance(TimeDelta::days(8));
    fixture.store.release_expired(fixture.now(), fixture.now(), 1).await.unwrap();
    assert_eq!(fixture.queued_keys().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_failed_sources_are_retried_at_once() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 21).await;
    fixture.send_all().await;
    fixture.deliver(draft.id, draft.sources[0].id, 0).await;
    for place in 1..21 {
        fixture.fail(&draft, place).await;
    }
    let retried = join_all((1..21).map(|place| fixture.retry(&draft, place))).await;
    assert_eq!(retried, [RetryOutcome::Asked; 20]);
    let mut sent = fixture.send_all().await;
    let mut expected = fixture.event_ids(&draft)[1..].to_vec();
    sent.sort();
    expected.sort();
    assert_eq!(sent, expected);
    let delivered = (1..21).map(|place| fixture.deliver(draft.id, draft.sources[place].id, 1));
    let last = AnswerOutcome::Settled(ExportStatus::Complete);
    assert_eq!(join_all(delivered).await.into_iter().filter(|outcome| *outcome == last).count(), 1);
    assert_eq!(fixture.archive_of(&draft).await.revision, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_source_retried_twice_at_once_is_asked_once() {
    let fixture = Fixture::new().await;
    for _ in 0..10 {
        let draft = fixture.partial().await;
        let (one, other) = tokio::join!(fixture.retry(&draft, 1), fixture.retry(&draft, 1));
        assert_ne!(one, other);
        assert_eq!(fixture.send_all().await.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_was_under_way_when_its_source_failed_answers_the_retry() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 1).await;
    let attempt = fixture.begin(draft.id, draft.sources[0].id).await;
    fixture.fail(&draft, 0).await;
    assert_eq!(fixture.retry(&draft, 0).await, RetryOutcome::Asked);
    // An answer names its source and not the question: what customers want is there.
    assert_eq!(fixture.settle(&attempt, 1).await, AnswerOutcome::Settled(ExportStatus::Complete));
    assert!(fixture.queued_keys().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_and_a_late_answer_at_once_leave_the_source_asked_or_answered_and_no_object_forgotten() {
    let fixture = Fixture::new().await;
    for round in 0..30 {
        let draft = fixture.create(&owner("jdoe"), 2).await;
        fixture.deliver(draft.id, draft.sources[0].id, 1).await;
        let attempt = fixture.begin(draft.id, draft.sources[1].id).await;
        fixture.fail(&draft, 1).await;
        let (retried, answered) = tokio::join!(fixture.retry(&draft, 1), fixture.settle(&attempt, 2));
        assert_eq!(retried, RetryOutcome::Asked, "round {round}");
        let (expected, in_queue) = match answered {
            AnswerOutcome::Settled(ExportStatus::Complete) => (ExportStatus::Complete, false),
            AnswerOutcome::Conflict => (ExportStatus::Running, true),
            other => panic!("round {round}: {other:?}"),
        };
        let found = fixture.store.find_export(owner("jdoe"), draft.id, fixture.now()).await.unwrap().unwrap();
        assert_eq!(found.export.status, expected, "round {round}");
        assert_eq!(fixture.queued_keys().contains(&attempt.object_key), in_queue, "round {round}");
        let manifests = format!("SELECT count(*) AS n FROM manifests WHERE export_id = '{}'", draft.id);
        assert_eq!(fixture.number(&manifests), i64::from(!in_queue), "round {round}");
    }
}
