//! Sources that nobody answers fail, so that every export ends.

use chrono::TimeDelta;
use domain::{ExportStatus, ResourceState, SourceError};
use futures_util::future::join_all;
use store::AnswerOutcome;

use crate::support::{Fixture, OVERTIME, owner};

impl Fixture {
    /// Fails what is overdue by now, and returns how many sources that were.
    pub(crate) async fn fail_overdue(&self, limit: u32) -> usize {
        self.store.fail_overdue(self.now(), OVERTIME, limit).await.unwrap()
    }

    /// Moves the clock to the moment of the deadline of what is created now.
    fn pass_deadline(&self) {
        self.clock.advance(TimeDelta::days(1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_fails_at_the_moment_of_its_deadline_and_not_before() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 3).await;
    fixture.deliver(draft.id, draft.sources[1].id, 1).await;
    fixture.clock.advance(TimeDelta::days(1) - TimeDelta::microseconds(1));
    assert_eq!(fixture.fail_overdue(10).await, 0);
    fixture.clock.advance(TimeDelta::microseconds(1));
    assert_eq!(fixture.fail_overdue(10).await, 2);
    assert_eq!(fixture.fail_overdue(10).await, 0);

    let found = fixture.store.find_export(owner("jdoe"), draft.id, fixture.now()).await.unwrap().unwrap();
    assert_eq!(found.export.status, ExportStatus::Partial);
    assert_eq!(found.export.completed_at, Some(fixture.now()));
    let failed = ResourceState::Failed(SourceError::deadline_passed(1));
    assert_eq!((&found.resources[0].state, &found.resources[2].state), (&failed, &failed));
    let late = fixture.deliver(draft.id, draft.sources[0].id, 1).await;
    assert_eq!(late, AnswerOutcome::Conflict);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_whose_upload_runs_is_not_overdue_until_the_lease_ends() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 2).await;
    fixture.pass_deadline();
    let attempt = fixture.begin(draft.id, draft.sources[0].id).await;
    assert_eq!(fixture.fail_overdue(10).await, 1);
    let found = fixture.store.find_export(owner("jdoe"), draft.id, fixture.now()).await.unwrap().unwrap();
    assert_eq!(
        (found.export.status, &found.resources[0].state),
        (ExportStatus::Running, &ResourceState::Pending)
    );
    assert_eq!(fixture.fail_overdue(10).await, 0);
    // The upload still wins as long as its attempt is there, and loses when the deadline comes first.
    fixture.clock.advance(TimeDelta::minutes(1));
    assert_eq!(fixture.fail_overdue(10).await, 1);
    assert_eq!(fixture.settle(&attempt, 1).await, AnswerOutcome::Conflict);
    assert_eq!(fixture.queued_keys(), [attempt.object_key]);
    let export =
        fixture.store.find_export(owner("jdoe"), draft.id, fixture.now()).await.unwrap().unwrap().export;
    assert_eq!(export.status, ExportStatus::Failed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_is_left_to_an_upload_that_never_ends_for_its_overtime_and_not_for_ever() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 1).await;
    let attempt = fixture.begin(draft.id, draft.sources[0].id).await;
    fixture.store.renew_upload(attempt.id, fixture.now() + TimeDelta::days(100), 0).await.unwrap();
    fixture.pass_deadline();
    fixture.clock.advance(OVERTIME - TimeDelta::microseconds(1));
    assert_eq!(fixture.fail_overdue(10).await, 0);
    fixture.clock.advance(TimeDelta::microseconds(1));
    assert_eq!(fixture.fail_overdue(10).await, 1);
    assert_eq!(fixture.settle(&attempt, 1).await, AnswerOutcome::Conflict);
    assert_eq!(fixture.queued_keys(), [attempt.object_key]);
}

#[tokio::test(flavor = "multi_thread")]
async fn overdue_sources_of_deleted_exports_do_not_hold_up_the_others() {
    let fixture = Fixture::new().await;
    for _ in 0..5 {
        let deleted = fixture.create(&owner("jdoe"), 1).await;
        fixture.store.delete_export(owner("jdoe"), deleted.id, fixture.now()).await.unwrap();
    }
    fixture.create(&owner("jdoe"), 1).await;
    fixture.pass_deadline();
    assert_eq!(fixture.fail_overdue(1).await, 1);
    assert_eq!(fixture.fail_overdue(1).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn exports_that_cannot_be_read_do_not_hold_up_the_others() {
    let fixture = Fixture::new().await;
    for _ in 0..3 {
        let unreadable = fixture.create(&owner("jdoe"), 2).await;
        fixture.spoil(&unreadable);
    }
    let draft = fixture.create(&owner("jdoe"), 1).await;
    fixture.pass_deadline();
    assert_eq!(fixture.fail_overdue(1).await, 1);
    assert_eq!(fixture.fail_overdue(1).await, 0);
    let ended = fixture.store.find_export(owner("jdoe"), draft.id, fixture.now()).await.unwrap().unwrap();
    assert_eq!(ended.export.status, ExportStatus::Failed);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_ends_by_its_deadline_even_after_it_has_expired() {
    let fixture = Fixture::new().await;
    let (expired, released) =
        (fixture.create(&owner("jdoe"), 2).await, fixture.create(&owner("jdoe"), 2).await);
    for draft in [&expired, &released] {
        fixture.deliver(draft.id, draft.sources[0].id, 1).await;
    }
    fixture.clock.advance(TimeDelta::days(8));
    fixture.store.release_expired(fixture.now(), fixture.now(), 1).await.unwrap();
    assert_eq!(fixture.fail_overdue(10).await, 2);
    let ended = fixture.texts("SELECT status AS t FROM exports");
    assert_eq!(ended, ["partial", "partial"]);
    // What was released has no data to freeze a manifest of.
    fixture.store.release_expired(fixture.now(), fixture.now(), 1).await.unwrap();
    assert_eq!(fixture.number("SELECT count(*) AS n FROM manifests"), 0);
    assert_eq!(fixture.queued_keys().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_callers_share_what_is_overdue_and_fail_each_export_once() {
    let fixture = Fixture::new().await;
    for _ in 0..30 {
        fixture.create(&owner("jdoe"), 2).await;
    }
    fixture.pass_deadline();
    let callers = (0..4).map(|_| async {
        let (mut changed, mut idle) = (0, 0);
        // An export that another caller has locked is left for later, so nothing found is no end yet.
        while idle < 50 {
            let now = fixture.fail_overdue(7).await;
            idle = if now == 0 { idle + 1 } else { 0 };
            changed += now;
        }
        changed
    });
    assert_eq!(join_all(callers).await.iter().sum::<usize>(), 60);
    assert_eq!(fixture.number("SELECT count(*) AS n FROM exports WHERE status = 'failed'"), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_last_upload_and_the_deadline_at_once_end_the_export_once() {
    let fixture = Fixture::new().await;
    for round in 0..20 {
        let draft = fixture.create(&owner("jdoe"), 2).await;
        fixture.deliver(draft.id, draft.sources[0].id, 1).await;
        let attempt = fixture.begin(draft.id, draft.sources[1].id).await;
        let late = fixture.now() + TimeDelta::days(1);
        let (outcome, failed) =
            tokio::join!(fixture.settle(&attempt, 1), fixture.store.fail_overdue(late, OVERTIME, 10));
        let uploaded = outcome == AnswerOutcome::Settled(ExportStatus::Complete);
        // The deadline leaves an export alone that an upload has locked.
        assert_ne!(uploaded, failed.unwrap() == 1, "round {round}: {outcome:?}");
        let manifests = format!("SELECT count(*) AS n FROM manifests WHERE export_id = '{}'", draft.id);
        assert_eq!(fixture.number(&manifests), 1);
    }
}
