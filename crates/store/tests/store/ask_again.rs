//! Sources that nobody has answered are asked again.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use domain::{ExportDraft, Record, RequestEvent, ResourceState, SourceError, ids::LeaseToken};
use futures_util::future::join_all;
use store::OutboxKind::Request;

use crate::support::{Fixture, owner, request, stored};

/// As services render it; the event id stands for the whole event.
pub(crate) fn render(event: &RequestEvent) -> Record {
    Record {
        topic: "requests".to_owned(),
        key: event.export_id.to_string(),
        headers: vec![("x-rh-identity".to_owned(), event.identity.clone())],
        payload: event.id.to_string().into_bytes(),
    }
}

impl Fixture {
    /// An export whose sources are asked three times within seven hours: after one hour, and two hours later.
    pub(crate) async fn create_with_tries(&self, sources: usize) -> ExportDraft {
        let mut draft = self.draft("Nightly", sources);
        for source in &mut draft.sources {
            source.answer_within = Some(domain::Period::from_secs(7 * 3600));
            source.max_tries = Some(3);
        }
        self.create_from(&owner("jdoe"), &draft).await;
        draft
    }

    pub(crate) async fn ask_again(&self) -> usize {
        self.store.ask_again(self.now(), 10, |event| Some(render(event))).await.unwrap()
    }

    /// Sends the requests in the outbox, and returns the payloads.
    pub(crate) async fn send_all(&self) -> Vec<String> {
        let token = LeaseToken::random();
        let until = self.now() + TimeDelta::minutes(1);
        let leased = self.store.lease_records(Request, token, self.now(), until, 1000).await.unwrap();
        self.store.finish_records(token, leased.iter().map(|row| row.id).collect()).await.unwrap();
        let text = |row| String::from_utf8(request(row).payload.clone()).unwrap();
        leased.iter().map(text).collect()
    }

    /// The events that asked last, in the order of the request.
    pub(crate) fn event_ids(&self, draft: &ExportDraft) -> Vec<String> {
        let sql = format!("SELECT event_id::text AS t FROM resources WHERE export_id = '{}'", draft.id);
        self.texts(&format!("{sql} ORDER BY position"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unanswered_source_is_asked_again_with_a_new_event_and_growing_waits() {
    let fixture = Fixture::new().await;
    let draft = fixture.create_with_tries(2).await;
    let first = fixture.send_all().await;
    fixture.clock.advance(TimeDelta::hours(1) - TimeDelta::microseconds(1));
    assert_eq!(fixture.ask_again().await, 0);
    fixture.clock.advance(TimeDelta::microseconds(1));
    assert_eq!(fixture.ask_again().await, 2);
    assert_eq!(fixture.ask_again().await, 0);
    let second = fixture.send_all().await;
    assert_eq!(second, fixture.event_ids(&draft), "in the order of the request");
    fixture.clock.advance(TimeDelta::hours(2));
    assert_eq!(fixture.ask_again().await, 2);
    let third = fixture.send_all().await;
    fixture.clock.advance(TimeDelta::hours(3));
    assert_eq!(fixture.ask_again().await, 0, "all tries are used up");
    let ids: BTreeSet<_> = [first, second, third].concat().into_iter().collect();
    assert_eq!(ids.len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_was_asked_in_vain_fails_at_its_deadline_and_says_how_often() {
    let fixture = Fixture::new().await;
    let draft = fixture.create_with_tries(1).await;
    for hours in [1, 2, 4] {
        fixture.send_all().await;
        fixture.clock.advance(TimeDelta::hours(hours));
        fixture.fail_overdue(10).await;
        fixture.ask_again().await;
    }
    let found = fixture.store.find_export(owner("jdoe"), draft.id, fixture.now()).await.unwrap().unwrap();
    assert_eq!(found.resources[0].state, ResourceState::Failed(SourceError::deadline_passed(3)));
    assert_eq!(fixture.send_all().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_was_answered_or_is_being_answered_is_not_asked_again() {
    let fixture = Fixture::new().await;
    let draft = fixture.create_with_tries(3).await;
    fixture.send_all().await;
    fixture.deliver(draft.id, draft.sources[0].id, 1).await;
    fixture.clock.advance(TimeDelta::hours(1));
    fixture.begin(draft.id, draft.sources[1].id).await;
    assert_eq!(fixture.ask_again().await, 1);
    assert_eq!(fixture.send_all().await, fixture.event_ids(&draft)[2..]);
    // Its lease has run out: nobody answers any more.
    fixture.clock.advance(TimeDelta::minutes(1));
    assert_eq!(fixture.ask_again().await, 1);
    assert_eq!(fixture.send_all().await, fixture.event_ids(&draft)[1..2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_whose_record_was_not_sent_yet_waits_anew_instead_of_being_asked_twice() {
    let fixture = Fixture::new().await;
    let draft = fixture.create_with_tries(1).await;
    fixture.clock.advance(TimeDelta::hours(4));
    assert_eq!(fixture.ask_again().await, 0);
    assert_eq!(fixture.send_all().await, fixture.event_ids(&draft));
    assert_eq!(fixture.ask_again().await, 0, "it was asked a moment ago");
    // Of three hours and the three tries it still has, a seventh.
    fixture.clock.advance(TimeDelta::hours(3) / 7);
    assert_eq!(fixture.ask_again().await, 1);
    assert_eq!(fixture.number("SELECT tries::bigint AS n FROM resources"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_asked_for_exports_that_were_deleted_or_have_expired() {
    let fixture = Fixture::new().await;
    let deleted = fixture.create_with_tries(1).await;
    let mut expired = fixture.draft("Short", 1);
    expired.expires_at = fixture.now() + TimeDelta::minutes(5);
    expired.sources[0].max_tries = Some(3);
    fixture.create_from(&owner("jdoe"), &expired).await;
    fixture.send_all().await;
    fixture.store.delete_export(owner("jdoe"), deleted.id, fixture.now()).await.unwrap();
    fixture.clock.advance(TimeDelta::hours(5));
    assert_eq!(fixture.ask_again().await, 0);
    assert_eq!(fixture.number("SELECT count(*) AS n FROM outbox WHERE kind = 'request'"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_cannot_be_asked_is_left_to_its_deadline_and_holds_up_nobody() {
    let fixture = Fixture::new().await;
    let (spoilt, good) = (fixture.create_with_tries(1).await, fixture.create_with_tries(1).await);
    fixture.send_all().await;
    fixture.clock.advance(TimeDelta::hours(1));
    let spoilt_id = spoilt.id;
    let render = move |event: &RequestEvent| (event.export_id != spoilt_id).then(|| render(event));
    for expected in [0, 1, 0] {
        assert_eq!(fixture.store.ask_again(fixture.now(), 1, render).await.unwrap(), expected);
    }
    assert_eq!(fixture.send_all().await, fixture.event_ids(&good));
    fixture.clock.advance(TimeDelta::hours(6));
    fixture.fail_overdue(10).await;
    assert_eq!(fixture.texts("SELECT DISTINCT status AS t FROM exports"), ["failed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_callers_share_the_asking_and_ask_each_source_once() {
    let fixture = Fixture::new().await;
    for _ in 0..30 {
        fixture.create_with_tries(2).await;
    }
    fixture.send_all().await;
    fixture.clock.advance(TimeDelta::hours(1));
    let callers = (0..4).map(|_| async {
        let (mut asked, mut idle) = (0, 0);
        // An export that another caller has locked is left for later, so nothing found is no end yet.
        while idle < 50 {
            let now = fixture.ask_again().await;
            idle = if now == 0 { idle + 1 } else { 0 };
            asked += now;
        }
        asked
    });
    assert_eq!(join_all(callers).await.iter().sum::<usize>(), 60);
    assert_eq!(fixture.number("SELECT count(*) AS n FROM resources WHERE tries = 2"), 60);
    let sent: BTreeSet<_> = fixture.send_all().await.into_iter().collect();
    assert_eq!(sent.len(), 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_and_the_next_try_at_once_settle_the_source_once() {
    let fixture = Fixture::new().await;
    for round in 0..20 {
        let draft = fixture.create_with_tries(1).await;
        fixture.send_all().await;
        let attempt = fixture.begin(draft.id, draft.sources[0].id).await;
        let data = stored(&attempt.object_key, 1);
        // The attempt's lease has run out by then, but the reaper has not come by.
        let late = fixture.now() + TimeDelta::hours(1);
        let settling = fixture.store.answer_with_data(draft.id, draft.sources[0].id, attempt.id, data, late);
        let asking = fixture.store.ask_again(late, 10, |event| Some(render(event)));
        let (outcome, asked) = tokio::join!(settling, asking);
        assert!(matches!(outcome.unwrap(), store::AnswerOutcome::Settled(_)), "round {round}");
        let sent = fixture.send_all().await;
        assert_eq!(sent.len(), asked.unwrap(), "round {round}");
    }
}
