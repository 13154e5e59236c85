//! Records that are special: two together, the same again, broken ones, others'.

use std::time::Duration;

use crate::verify_source::{
    check::Check,
    ledger::State,
    report::Finding,
    request::Request,
    script::{Behaviour, Script},
    stage::{Stage, Stop},
};

/// No application is registered under it.
const OTHER_APPLICATION: &str = "exportctl-other-application";

/// Values that are no request events.
const NO_EVENTS: [&[u8]; 5] =
    [b"", b"no JSON {", b"[]", br#"{"data":{"resource_request":null}}"#, b"\xff\xfe"];

/// How long the first of two answers waits for the second.
const TOGETHER: Duration = Duration::from_secs(3);

/// A request to somebody else; judged at the end.
pub(super) async fn other_application(stage: &mut Stage<'_>) -> Result<(), Stop> {
    let (resource, format) = (&stage.arguments.resource, stage.arguments.main_format());
    let request = Request::new(OTHER_APPLICATION, resource, format.as_str(), None);
    let id = stage.ask("a request to another application", request, Script::first(&[])).await?;
    stage.watch(Check::OtherApplication, id);
    // What comes next was sent after it: when that is answered, it was passed over.
    stage.expect_next("a request to another application").await
}

/// Two requests that come together: neither answer is taken before both came, for a while.
pub(crate) async fn two_at_once(stage: &mut Stage<'_>) -> Result<(), Stop> {
    let held = || Script::first(&[Behaviour::Hold]);
    let first = stage.ask("the first of two requests", stage.plain(None), held()).await?;
    let second = stage.ask("the second of two requests", stage.plain(None), held()).await?;
    let both = |state: &State| {
        let came = |id| state.cases.get(id).is_some_and(|case| !case.attempts.is_empty());
        [&first, &second].into_iter().all(came).then_some(())
    };
    let together = stage.ledger.wait(TOGETHER, both).await.is_some();
    stage.ledger.release(first);
    stage.ledger.release(second);
    let (first, second) = tokio::join!(stage.answer(first), stage.answer(second));
    let finding = match [first, second].iter().filter(|answer| answer.is_some()).count() {
        2 if together => Finding::pass("at the same time"),
        2 => Finding::pass("one after the other"),
        answered => Finding::fail(
            format!("{answered} of 2 answered within {} s", stage.arguments.answer_within),
            "Keep nothing of a request in what all requests share, and drop none because another is under way.",
        ),
    };
    stage.note(Check::TwoAtOnce, finding);
    Ok(())
}

/// The same event twice; judged at the end.
pub(super) async fn duplicate(stage: &mut Stage<'_>) -> Result<(), Stop> {
    let id = stage.ask_plain("a request that is sent twice", None).await?;
    stage.answer(id).await;
    if let Some(request) = stage.ledger.copy(id) {
        stage.kafka.send(&stage.record(&request)).await?;
        stage.watch(Check::Duplicate, id);
    }
    stage.expect_next("a copy of an event").await
}

/// A format that does not exist yet; judged at the end.
pub(super) async fn unknown_format(stage: &mut Stage<'_>) -> Result<(), Stop> {
    let request = stage.request(&stage.arguments.resource, "pdf", None);
    let id = stage.ask("a request for pdf", request, Script::first(&[])).await?;
    stage.watch(Check::UnknownFormat, id);
    stage.expect_next("a request for pdf").await
}

/// Records that are no events, under the application's name.
pub(super) async fn malformed(stage: &mut Stage<'_>) -> Result<(), Stop> {
    let mut record = stage.record(&stage.plain(None));
    record.payload = None;
    stage.kafka.send(&record).await?;
    for payload in NO_EVENTS {
        record.payload = Some(payload.to_vec());
        stage.kafka.send(&record).await?;
    }
    let next = stage.expect_next("records that are no events").await;
    let finding = match &next {
        Ok(()) => Finding::pass(format!("{} records", NO_EVENTS.len() + 1)),
        Err(_) => Finding::fail(
            "the request after such records was not answered",
            "Log a record that is no request event, commit its offset and go on: it will never become one.",
        ),
    };
    stage.note(Check::Malformed, finding);
    next
}
