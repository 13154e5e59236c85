//! Asking again with the same events.

use chrono::TimeDelta;
use domain::{
    ExportDraft, Record, RequestEvent,
    ids::{ExportId, LeaseToken, ResourceId},
};
use store::OutboxKind::Request;

use crate::support::{Fixture, owner, request};

/// The events that creating `draft` asked with.
fn events_of(draft: &ExportDraft) -> Vec<RequestEvent> {
    let event = |source: &domain::SourceDraft| RequestEvent {
        id: source.event_id,
        time: draft.created_at,
        export_id: draft.id,
        resource_id: source.id,
        org_id: owner("jdoe").org_id,
        application: source.application.clone(),
        resource: source.resource.clone(),
        format: draft.format,
        identity: "identity".to_owned(),
        filters: source.filters.clone(),
    };
    draft.sources.iter().map(event).collect()
}

impl Fixture {
    /// All unanswered requests, read in pages of `limit`.
    async fn unanswered(&self, limit: u32) -> Vec<RequestEvent> {
        let (mut all, mut after): (Vec<_>, Option<(ExportId, ResourceId)>) = (Vec::new(), None);
        loop {
            let page = self.store.unanswered_requests(after, self.now(), limit).await.unwrap();
            let Some(last) = page.last() else { return all };
            assert!(page.len() <= limit as usize);
            after = Some((last.export_id, last.resource_id));
            all.extend(page);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unanswered_request_is_the_event_that_was_sent() {
    let fixture = Fixture::new().await;
    let mut expected = Vec::new();
    for _ in 0..3 {
        let mut draft = fixture.draft("Nightly", 3);
        let filters = serde_json::json!({"a": "\0 😀", "n": u64::MAX, "deep": {"list": [1.5, null]}});
        draft.sources[1].filters = filters.as_object().cloned();
        draft.format = domain::ExportFormat::Csv;
        fixture.create_from(&owner("jdoe"), &draft).await;
        expected.extend(events_of(&draft));
        fixture.clock.advance(TimeDelta::microseconds(1_234_567));
    }
    expected.sort_by_key(|event| (event.export_id, event.resource_id));
    for limit in [1, 4, 100] {
        assert_eq!(fixture.unanswered(limit).await, expected, "pages of {limit}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_deleted_or_has_expired_is_not_asked_again() {
    let fixture = Fixture::new().await;
    let mut drafts = Vec::new();
    for days in [7, 7, 7, 1] {
        let mut draft = fixture.draft("Nightly", 2);
        draft.expires_at = fixture.now() + TimeDelta::days(days);
        fixture.create_from(&owner("jdoe"), &draft).await;
        drafts.push(draft);
    }
    fixture.deliver(drafts[0].id, drafts[0].sources[0].id, 1).await;
    fixture.store.delete_export(owner("jdoe"), drafts[1].id, fixture.now()).await.unwrap();
    for source in &drafts[2].sources {
        fixture.deliver(drafts[2].id, source.id, 1).await;
    }
    fixture.clock.advance(TimeDelta::days(1));
    assert_eq!(fixture.unanswered(10).await, events_of(&drafts[0])[1..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn queued_records_come_after_the_earlier_ones_and_not_for_a_deleted_export() {
    let fixture = Fixture::new().await;
    let (kept, deleted) = (fixture.create(&owner("jdoe"), 1).await, fixture.create(&owner("jdoe"), 1).await);
    fixture.store.delete_export(owner("jdoe"), deleted.id, fixture.now()).await.unwrap();
    let record = |key: ExportId, body: &str| {
        let (key, payload) = (key.to_string(), body.as_bytes().to_vec());
        (key.parse().unwrap(), Record { topic: "requests".to_owned(), key, headers: Vec::new(), payload })
    };
    let again = vec![
        record(kept.id, "1"),
        record(deleted.id, "2"),
        record(kept.id, "3"),
        record(ExportId::random(), "4"),
    ];
    fixture.store.enqueue_records(again, fixture.now()).await.unwrap();
    let until = fixture.now() + TimeDelta::minutes(1);
    let leased =
        fixture.store.lease_records(Request, LeaseToken::random(), fixture.now(), until, 10).await.unwrap();
    let bodies: Vec<_> =
        leased.iter().map(|row| String::from_utf8_lossy(&request(row).payload).into_owned()).collect();
    assert_eq!(bodies, [kept.sources[0].event_id.to_string(), "1".to_owned(), "3".to_owned()]);
}
