//! Settling sources: once, by whoever comes first.

use chrono::TimeDelta;
use domain::{ExportStatus, ResourceState, SourceError, ids::ResourceId};
use futures_util::future::join_all;
use store::{AnswerOutcome, AnswerTarget, Downloadable};

use crate::support::{Fixture, owner, stored};

fn error(code: i64, message: &str) -> SourceError {
    SourceError::new(code, message)
}

impl Fixture {
    async fn status(&self, id: domain::ids::ExportId) -> (ExportStatus, bool) {
        let export = self.store.find_export(owner("jdoe"), id, self.now()).await.unwrap().unwrap().export;
        (export.status, export.completed_at.is_some())
    }

    fn manifests(&self) -> i64 {
        self.number("SELECT count(*) AS n FROM manifests")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_runs_from_its_first_answer_and_ends_with_its_last() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 3).await;
    let source = |place: usize| draft.sources[place].id;
    assert_eq!(fixture.deliver(draft.id, source(0), 1).await, AnswerOutcome::Settled(ExportStatus::Running));
    assert_eq!(fixture.status(draft.id).await, (ExportStatus::Running, false));
    let failed = fixture.store.answer_with_error(draft.id, source(1), error(404, "no"), fixture.now()).await;
    assert_eq!(failed.unwrap(), AnswerOutcome::Settled(ExportStatus::Running));
    assert_eq!(fixture.manifests(), 0);
    assert_eq!(fixture.deliver(draft.id, source(2), 3).await, AnswerOutcome::Settled(ExportStatus::Partial));
    assert_eq!(fixture.status(draft.id).await, (ExportStatus::Partial, true));

    let download = fixture.store.find_download(owner("jdoe"), draft.id, fixture.now()).await.unwrap();
    let Downloadable::Ready(manifest) = download else { panic!("{download:?}") };
    assert_eq!((manifest.members.len(), manifest.revision), (2, 1));
    assert!(fixture.queued_keys().is_empty());
    assert_eq!(fixture.attempts(), 0);
    assert_eq!(fixture.number("SELECT count(*) AS n FROM exports WHERE requester_identity IS NOT NULL"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_without_any_data_has_failed_and_cannot_be_downloaded() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 2).await;
    let now = fixture.now();
    for source in &draft.sources {
        let download = fixture.store.find_download(owner("jdoe"), draft.id, now).await.unwrap();
        assert_eq!(download, Downloadable::NotReady);
        fixture.store.answer_with_error(draft.id, source.id, error(500, "no"), now).await.unwrap();
    }
    assert_eq!(fixture.status(draft.id).await, (ExportStatus::Failed, true));
    let download = fixture.store.find_download(owner("jdoe"), draft.id, now).await.unwrap();
    assert_eq!(download, Downloadable::AllFailed);
    assert_eq!(fixture.manifests(), 0);
    let late = fixture.store.find_download(owner("jdoe"), draft.id, draft.expires_at).await.unwrap();
    assert_eq!(late, Downloadable::Expired);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_data_again_is_a_repeat_and_other_data_a_conflict() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 2).await;
    let source = draft.sources[0].id;
    let first = fixture.begin(draft.id, source).await;
    assert_eq!(fixture.settle(&first, 1).await, AnswerOutcome::Settled(ExportStatus::Running));
    let (again, other) = (fixture.begin(draft.id, source).await, fixture.begin(draft.id, source).await);
    assert_eq!(fixture.settle(&again, 1).await, AnswerOutcome::Repeated);
    assert_eq!(fixture.settle(&other, 2).await, AnswerOutcome::Conflict);
    let refused = fixture.store.answer_with_error(draft.id, source, error(1, "no"), fixture.now()).await;
    assert_eq!(refused.unwrap(), AnswerOutcome::Conflict);

    let mut unwanted = vec![again.object_key, other.object_key];
    unwanted.sort();
    assert_eq!(fixture.queued_keys(), unwanted);
    assert_eq!(fixture.attempts(), 0);
    let target = fixture.store.find_answer_target(draft.id, source, fixture.now()).await.unwrap();
    let AnswerTarget::Found { resource, .. } = target else { panic!("{target:?}") };
    assert_eq!(resource.state, ResourceState::Complete(stored(&first.object_key, 1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_error_again_is_a_repeat_and_another_a_conflict() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 2).await;
    for (source, message) in [(draft.sources[0].id, "no"), (draft.sources[1].id, "a\0b 😀 ' \" \\")] {
        let answer = async |code, message| {
            fixture
                .store
                .answer_with_error(draft.id, source, error(code, message), fixture.now())
                .await
                .unwrap()
        };
        assert!(matches!(answer(i64::MIN, message).await, AnswerOutcome::Settled(_)));
        assert_eq!(answer(i64::MIN, message).await, AnswerOutcome::Repeated);
        assert_eq!(answer(404, message).await, AnswerOutcome::Conflict);
        assert_eq!(answer(i64::MIN, "other").await, AnswerOutcome::Conflict);
        let late = fixture.begin(draft.id, source).await;
        assert_eq!(fixture.settle(&late, 1).await, AnswerOutcome::Conflict);
        assert!(fixture.queued_keys().contains(&late.object_key));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_last_answers_at_once_one_ends_the_export() {
    let fixture = Fixture::new().await;
    for _ in 0..20 {
        let draft = fixture.create(&owner("jdoe"), 2).await;
        let (one, two) = tokio::join!(
            fixture.deliver(draft.id, draft.sources[0].id, 1),
            fixture.deliver(draft.id, draft.sources[1].id, 2)
        );
        let ended =
            [one, two].iter().filter(|o| **o == AnswerOutcome::Settled(ExportStatus::Complete)).count();
        assert_eq!(ended, 1, "{one:?} {two:?}");
        assert_eq!(fixture.status(draft.id).await, (ExportStatus::Complete, true));
    }
    assert_eq!(fixture.manifests(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_last_uploads_at_once_complete_the_export_once() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 100).await;
    let uploads = draft.sources.iter().map(|source| fixture.deliver(draft.id, source.id, 1));
    let outcomes = join_all(uploads).await;
    let count = |status| outcomes.iter().filter(|o| **o == AnswerOutcome::Settled(status)).count();
    assert_eq!((count(ExportStatus::Running), count(ExportStatus::Complete)), (99, 1));
    assert_eq!(fixture.manifests(), 1);
    let download = fixture.store.find_download(owner("jdoe"), draft.id, fixture.now()).await.unwrap();
    let Downloadable::Ready(manifest) = download else { panic!("{download:?}") };
    assert_eq!((manifest.members.len(), manifest.revision), (100, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_hundred_uploads_for_one_source_one_settles_and_the_others_leave_no_object() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 1).await;
    let source = draft.sources[0].id;
    let uploads = (0..100).map(|place| fixture.deliver(draft.id, source, u8::from(place % 2 == 0)));
    let outcomes = join_all(uploads).await;
    let count = |outcome| outcomes.iter().filter(|o| **o == outcome).count();
    assert_eq!(count(AnswerOutcome::Settled(ExportStatus::Complete)), 1);
    assert_eq!((count(AnswerOutcome::Repeated), count(AnswerOutcome::Conflict)), (49, 50));
    assert_eq!((fixture.queued_keys().len(), fixture.attempts()), (99, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_for_what_is_gone_settles_nothing_and_leaves_no_object() {
    let fixture = Fixture::new().await;
    let jdoe = owner("jdoe");
    let (deleted, expired) = (fixture.create(&jdoe, 1).await, fixture.create(&jdoe, 1).await);
    let mut keys = Vec::new();
    let attempts = [
        fixture.begin(deleted.id, deleted.sources[0].id).await,
        fixture.begin(expired.id, expired.sources[0].id).await,
        fixture.begin(expired.id, ResourceId::random()).await,
        fixture.begin(domain::ids::ExportId::random(), ResourceId::random()).await,
    ];
    fixture.store.delete_export(jdoe, deleted.id, fixture.now()).await.unwrap();
    let unknown = fixture.settle(&attempts[2], 1).await;
    assert_eq!(unknown, AnswerOutcome::NoResource);
    fixture.clock.advance(TimeDelta::days(7));
    for attempt in &attempts {
        if attempt.id != attempts[2].id {
            assert_eq!(fixture.settle(attempt, 1).await, AnswerOutcome::NoExport);
        }
        let (export, resource) = (attempt.export_id, attempt.resource_id);
        let late = fixture.store.answer_with_error(export, resource, error(1, "no"), fixture.now()).await;
        assert_eq!(late.unwrap(), AnswerOutcome::NoExport);
        let target = fixture.store.find_answer_target(export, resource, fixture.now()).await.unwrap();
        assert_eq!(target, AnswerTarget::NoExport);
        keys.push(attempt.object_key.clone());
    }
    keys.sort();
    assert_eq!((fixture.queued_keys(), fixture.attempts()), (keys, 0));
    assert_eq!(fixture.number("SELECT count(*) AS n FROM resources WHERE status <> 'pending'"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_can_be_answered_until_the_moment_its_export_expires() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 2).await;
    fixture.clock.advance(draft.expires_at - fixture.now() - TimeDelta::microseconds(1));
    let on_time = fixture.deliver(draft.id, draft.sources[0].id, 1).await;
    assert_eq!(on_time, AnswerOutcome::Settled(ExportStatus::Running));
    fixture.clock.advance(TimeDelta::microseconds(1));
    assert_eq!(fixture.deliver(draft.id, draft.sources[1].id, 1).await, AnswerOutcome::NoExport);
}
