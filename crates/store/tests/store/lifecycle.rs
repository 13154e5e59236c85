//! What is told of exports: which events, in which order, and what they hold.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::connection::SimpleConnection as _;
use domain::{ExportDraft, LifecycleChange, LifecycleEvent, StoredData, ids::LeaseToken};
use store::{
    OutboxKind::{Announcement, Lifecycle, Request},
    OutboxMessage, RetryOutcome,
};

use crate::support::{Fixture, owner};

impl Fixture {
    /// Everything that waits to be told, in the order in which it will be.
    pub(crate) async fn news(&self) -> Vec<LifecycleEvent> {
        let (token, until) = (LeaseToken::random(), self.now() + TimeDelta::minutes(1));
        let leased = self.store.lease_records(Lifecycle, token, self.now(), until, 10_000).await.unwrap();
        let ids = leased.iter().map(|row| row.id).collect();
        self.store.finish_records(token, ids).await.unwrap();
        let event = |message| match message {
            OutboxMessage::Lifecycle(event) => event,
            other => panic!("not an event: {other:?}"),
        };
        leased.into_iter().map(|row| event(row.message)).collect()
    }

    /// The names of what waits to be told of one export.
    async fn told(&self, draft: &ExportDraft) -> Vec<&'static str> {
        let news = self.news().await;
        assert!(news.iter().all(|event| event.export_id == draft.id && event.org_id == "3340851"));
        news.iter().map(|event| event.change.name()).collect()
    }

    pub(crate) fn announced(&self, announce: bool) {
        let sql =
            "DELETE FROM applications; INSERT INTO applications (name, document) VALUES ('application', ";
        self.connection().batch_execute(&format!("{sql} '{{\"announce\": {announce}}}')")).unwrap();
    }

    pub(crate) fn announcements(&self) -> i64 {
        self.number("SELECT count(*) AS n FROM outbox WHERE kind = 'announcement'")
    }
}

fn moment(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_end_of_an_export_is_told_after_the_answers_that_led_to_it() {
    let fixture = Fixture::new().await;
    let complete = fixture.create(&owner("jdoe"), 2).await;
    fixture.deliver(complete.id, complete.sources[0].id, 1).await;
    fixture.deliver(complete.id, complete.sources[1].id, 1).await;
    let told = fixture.told(&complete).await;
    assert_eq!(told, ["export.accepted", "source.completed", "source.completed", "export.completed"]);

    let partial = fixture.create(&owner("jdoe"), 2).await;
    fixture.fail(&partial, 0).await;
    fixture.deliver(partial.id, partial.sources[1].id, 1).await;
    let told = fixture.told(&partial).await;
    assert_eq!(told, ["export.accepted", "source.failed", "source.completed", "export.partial"]);

    let failed = fixture.create(&owner("jdoe"), 1).await;
    fixture.fail(&failed, 0).await;
    assert_eq!(fixture.told(&failed).await, ["export.accepted", "source.failed", "export.failed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_or_refused_answer_is_no_news() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 1).await;
    for fill in [1, 1, 2] {
        fixture.deliver(draft.id, draft.sources[0].id, fill).await;
    }
    fixture.fail(&draft, 0).await;
    assert_eq!(fixture.told(&draft).await, ["export.accepted", "source.completed", "export.completed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_that_nobody_answers_are_told_as_failed() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 2).await;
    fixture.clock.advance(TimeDelta::days(1));
    fixture.fail_overdue(10).await;
    let told = fixture.told(&draft).await;
    assert_eq!(told, ["export.accepted", "source.failed", "source.failed", "export.failed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_of_a_source_that_is_asked_once_more_is_told_and_the_end_again() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 2).await;
    fixture.deliver(draft.id, draft.sources[0].id, 1).await;
    fixture.fail(&draft, 1).await;
    let told = fixture.told(&draft).await;
    assert_eq!(told, ["export.accepted", "source.completed", "source.failed", "export.partial"]);
    assert_eq!(fixture.retry(&draft, 1).await, RetryOutcome::Asked);
    assert!(fixture.told(&draft).await.is_empty());
    fixture.deliver(draft.id, draft.sources[1].id, 1).await;
    assert_eq!(fixture.told(&draft).await, ["source.completed", "export.completed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_data_is_told_and_the_end_again_also_when_it_is_the_same() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 3).await;
    for place in 0..3 {
        fixture.deliver(draft.id, draft.sources[place].id, 1).await;
    }
    fixture.told(&draft).await;
    for lost in fixture.store.stored_objects(None, fixture.now(), 2).await.unwrap() {
        assert!(fixture.store.settle_lost_object(lost, fixture.now()).await.unwrap());
        assert_eq!(fixture.told(&draft).await, ["source.failed", "export.partial"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_is_the_last_that_is_told() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 2).await;
    fixture.deliver(draft.id, draft.sources[0].id, 1).await;
    fixture.store.delete_export(owner("jdoe"), draft.id, fixture.now()).await.unwrap();
    fixture.store.delete_export(owner("jdoe"), draft.id, fixture.now()).await.unwrap();
    fixture.fail(&draft, 1).await;
    fixture.store.release_deleted(fixture.now(), fixture.now(), 10).await.unwrap();
    assert_eq!(fixture.told(&draft).await, ["export.accepted", "source.completed", "export.deleted"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_expiry_only_a_deletion_is_told() {
    let fixture = Fixture::new().await;
    let mut draft = fixture.draft("Nightly", 1);
    draft.expires_at = fixture.now() + TimeDelta::hours(1);
    fixture.create_from(&owner("jdoe"), &draft).await;
    fixture.clock.advance(TimeDelta::hours(2));
    let expired_at = fixture.now();
    fixture.store.release_expired(expired_at, expired_at, 10).await.unwrap();
    fixture.store.release_expired(expired_at, expired_at, 10).await.unwrap();
    // Its source fails at its deadline, for the listing; the export has gone for whoever listens.
    fixture.clock.advance(TimeDelta::days(1));
    assert_eq!(fixture.fail_overdue(10).await, 1);
    fixture.store.delete_export(owner("jdoe"), draft.id, fixture.now()).await.unwrap();
    let news = fixture.news().await;
    let told: Vec<_> = news.iter().map(|event| (event.change.name(), event.time)).collect();
    let last = fixture.now();
    assert_eq!(
        told,
        [("export.accepted", draft.created_at), ("export.expired", expired_at), ("export.deleted", last)]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_cannot_be_read_goes_without_a_word_and_holds_up_no_other() {
    let fixture = Fixture::new().await;
    let (spoilt, other) = (fixture.create(&owner("jdoe"), 1).await, fixture.create(&owner("jdoe"), 1).await);
    fixture.news().await;
    fixture.spoil(&spoilt);
    fixture.clock.advance(TimeDelta::days(7));
    assert_eq!(fixture.store.release_expired(fixture.now(), fixture.now(), 10).await.unwrap(), 2);
    assert!(fixture.store.delete_export(owner("jdoe"), spoilt.id, fixture.now()).await.unwrap());
    assert_eq!(fixture.told(&other).await, ["export.expired"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn news_say_what_came_and_nothing_of_who_asked() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 2).await;
    fixture.deliver(draft.id, draft.sources[0].id, 1).await;
    fixture.fail(&draft, 1).await;
    let texts =
        fixture.texts("SELECT convert_from(payload, 'UTF8') AS t FROM outbox WHERE kind = 'lifecycle'");
    for hidden in ["identity", "jdoe", "10001", "Nightly", "no such system", "object"] {
        assert!(texts.iter().all(|text| !text.contains(hidden)), "{hidden}: {texts:?}");
    }
    let news = fixture.news().await;
    let LifecycleChange::SourceCompleted { source, size_bytes, stored_bytes } = &news[1].change else {
        panic!("{:?}", news[1])
    };
    assert_eq!((source.id, source.resource.as_str()), (draft.sources[0].id, "resource-0"));
    assert_eq!((*size_bytes, *stored_bytes), (100, 50));
    assert!(matches!(&news[2].change, LifecycleChange::SourceFailed { error_code: 404, .. }));
    let LifecycleChange::Ended(facts) = &news[3].change else { panic!("{:?}", news[3]) };
    let sources = facts.sources.unwrap();
    assert_eq!((sources.total, sources.complete, sources.failed), (2, 1, 1));
    assert_eq!(facts.expires_at, moment("2026-01-08T00:00:00Z"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_cannot_be_sent_holds_up_no_other() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 3).await;
    let (token, now, until) = (LeaseToken::random(), fixture.now(), fixture.now() + TimeDelta::days(1));
    assert_eq!(fixture.store.lease_records(Lifecycle, token, now, until, 10).await.unwrap().len(), 1);
    assert_eq!(fixture.store.lease_records(Request, token, now, until, 10).await.unwrap().len(), 3);
    fixture.store.delete_export(owner("jdoe"), draft.id, now).await.unwrap();
    // Behind the one that is leased.
    assert!(fixture.store.lease_records(Lifecycle, token, now, until, 10).await.unwrap().is_empty());
    for (kind, waiting) in [(Request, 0), (Lifecycle, 2), (Announcement, 0)] {
        assert_eq!(fixture.store.outbox_depth(kind).await.unwrap().waiting, waiting, "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_wanted_can_be_discarded_by_its_kind() {
    let fixture = Fixture::new().await;
    fixture.create(&owner("jdoe"), 2).await;
    fixture.create(&owner("jdoe"), 2).await;
    assert_eq!(fixture.store.discard_records(Lifecycle, 1).await.unwrap(), 1);
    assert_eq!(fixture.store.discard_records(Lifecycle, 10).await.unwrap(), 1);
    assert_eq!(fixture.store.discard_records(Lifecycle, 10).await.unwrap(), 0);
    assert_eq!(fixture.number("SELECT count(*) AS n FROM outbox WHERE kind = 'request'"), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_announced_application_has_delivered_is_announced_with_what_that_needs() {
    let fixture = Fixture::new().await;
    fixture.announced(true);
    let mut draft = fixture.draft("Nightly", 2);
    draft.sources[0].expires_at = fixture.now() + TimeDelta::hours(1);
    fixture.create_from(&owner("jdoe"), &draft).await;
    let attempt = fixture.begin(draft.id, draft.sources[0].id).await;
    fixture.settle(&attempt, 1).await;
    fixture.fail(&draft, 1).await;
    let (token, now) = (LeaseToken::random(), fixture.now());
    let until = now + TimeDelta::minutes(1);
    let leased = fixture.store.lease_records(Announcement, token, now, until, 10).await.unwrap();
    assert_eq!(leased.len(), 1);
    let OutboxMessage::Announcement(one) = &leased[0].message else { panic!("{leased:?}") };
    let StoredData { object_key, stored_bytes, .. } = crate::support::stored(&attempt.object_key, 1);
    assert_eq!((one.object_key.as_str(), one.stored_bytes), (object_key.as_str(), stored_bytes));
    assert_eq!((one.export_id, one.resource_id), (draft.id, draft.sources[0].id));
    assert_eq!((one.time, one.expires_at), (now, draft.sources[0].expires_at));
    assert_eq!(one.identity, "identity", "although the export has ended");
    assert_eq!(fixture.number("SELECT count(*) AS n FROM exports WHERE requester_identity IS NOT NULL"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_or_expired_is_announced_no_more() {
    let fixture = Fixture::new().await;
    fixture.announced(true);
    let (deleted, expired) =
        (fixture.create(&owner("jdoe"), 1).await, fixture.create(&owner("jdoe"), 1).await);
    for draft in [&deleted, &expired] {
        fixture.deliver(draft.id, draft.sources[0].id, 1).await;
    }
    assert_eq!(fixture.announcements(), 2);
    fixture.store.delete_export(owner("jdoe"), deleted.id, fixture.now()).await.unwrap();
    assert_eq!(fixture.announcements(), 1);
    fixture.clock.advance(TimeDelta::days(7));
    fixture.store.release_expired(fixture.now(), fixture.now(), 10).await.unwrap();
    assert_eq!(fixture.announcements(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_is_not_announced_stays_so() {
    let fixture = Fixture::new().await;
    for announce in [None, Some(false)] {
        if let Some(announce) = announce {
            fixture.announced(announce);
        }
        let draft = fixture.create(&owner("jdoe"), 1).await;
        fixture.deliver(draft.id, draft.sources[0].id, 1).await;
    }
    assert_eq!(fixture.announcements(), 0);
}
