//! Every way in which a post can be met.

use std::time::Duration;

use uuid::Uuid;

use crate::verify_source::{
    check::Check,
    report::Finding,
    script::{Behaviour, Script},
    stage::{Stage, Stop, seconds},
};

/// What Retry-After says, in seconds.
const RETRY_AFTER: u64 = 2;
/// So much earlier than told may be a matter of clocks.
const CLOCKS: Duration = Duration::from_millis(100);
/// Three tries in less than this are no waiting.
const HAMMERING: Duration = Duration::from_millis(200);
/// How long a request whose key was refused is waited for.
const UNAUTHORIZED_WAIT: Duration = Duration::from_secs(5);
/// What is refused for good.
const FINAL: [u16; 4] = [400, 404, 410, 413];

async fn ask(stage: &Stage<'_>, purpose: &str, behaviours: &[Behaviour]) -> Result<Uuid, Stop> {
    stage.ask(purpose, stage.plain(None), Script::first(behaviours)).await
}

fn gaps(stage: &Stage<'_>, id: Uuid) -> Vec<Duration> {
    stage.case(id, super::super::case::Case::gaps).unwrap_or_default()
}

fn list(gaps: &[Duration]) -> String {
    gaps.iter().map(|gap| seconds(*gap)).collect::<Vec<_>>().join(", ")
}

/// Reading with rests, and a late answer.
pub(super) async fn slow(stage: &mut Stage<'_>) -> Result<(), Stop> {
    let id = ask(stage, "an answer that is read slowly", &[Behaviour::Slow]).await?;
    let mend =
        "Wait for the answer for a minute or more, and longer for large data: the platform may be busy.";
    let finding = match (stage.answer(id).await, stage.case(id, |case| case.attempts.len())) {
        (Some(_), Some(1)) => Finding::pass("answered late, and waited for"),
        (Some(_), tries) => {
            Finding::fail(format!("it gave up and sent again, {} tries", tries.unwrap_or_default()), mend)
        }
        (None, _) => Finding::fail(stage.instead(id), mend),
    };
    stage.note(Check::Slow, finding);
    stage.expect_next("an answer that was read slowly").await
}

/// A connection that breaks.
pub(super) async fn cut(stage: &mut Stage<'_>) -> Result<(), Stop> {
    let id = ask(stage, "an answer that is cut", &[Behaviour::Cut]).await?;
    stage.watch(Check::Resumable, id);
    let finding = match stage.answer(id).await {
        Some(_) => Finding::pass(format!("sent again after {}", list(&gaps(stage, id)))),
        None => Finding::fail(
            again(stage, id, "a connection that broke"),
            "Send the whole answer again after a broken connection: what was cut was not taken.",
        ),
    };
    stage.note(Check::Cut, finding);
    stage.expect_next("a connection that broke").await
}

/// What was seen of an answer that never came to its end.
fn again(stage: &Stage<'_>, id: Uuid, failure: &str) -> String {
    match stage.case(id, |case| case.attempts.len()) {
        None | Some(0) => stage.instead(id),
        Some(1) => format!("not sent again after {failure}"),
        Some(tries) => format!("{tries} tries after {failure}, none whole"),
    }
}

/// 503 that says when to come back.
pub(super) async fn retry_after(stage: &mut Stage<'_>) -> Result<(), Stop> {
    let id =
        ask(stage, "an answer that is met with 503", &[Behaviour::Refuse(503, Some(RETRY_AFTER))]).await?;
    let answered = stage.answer(id).await.is_some();
    let gap = gaps(stage, id).first().copied();
    stage.note(
        Check::Unavailable,
        if answered {
            Finding::pass(format!("sent again after {}", seconds(gap.unwrap_or_default())))
        } else {
            let mend = "Send the answer again after 503, with growing waits, until it is taken: nothing was.";
            Finding::fail(again(stage, id, "503"), mend)
        },
    );
    let told = Duration::from_secs(RETRY_AFTER);
    stage.note(
        Check::RetryAfter,
        match gap {
            Some(gap) if gap + CLOCKS >= told => {
                Finding::pass(format!("{}, told {}", seconds(gap), seconds(told)))
            }
            Some(gap) => Finding::fail(
                format!("sent again after {}, told {}", seconds(gap), seconds(told)),
                "Read the header Retry-After of 503 (and 429): wait for so many seconds, or longer.",
            ),
            None => {
                Finding::fail(again(stage, id, "503"), "Send the answer again once Retry-After has passed.")
            }
        },
    );
    stage.expect_next("503 with Retry-After").await
}

/// 503 again and again.
pub(super) async fn backoff(stage: &mut Stage<'_>) -> Result<(), Stop> {
    let id =
        ask(stage, "an answer that is met with 503 four times", &[Behaviour::Refuse(503, None); 4]).await?;
    stage.answer(id).await;
    let gaps = gaps(stage, id);
    let mend = "Double the wait after each failure, up to a minute or so, with some chance in it.";
    let (first, last) = (gaps.first().copied(), gaps.last().copied());
    // With chance in them, waits that double have grown by half at the fourth in any case.
    let grow = first.zip(last).is_some_and(|(first, last)| last > first + first / 2);
    let waited: Duration = gaps.iter().take(3).sum();
    let finding = match gaps.len() {
        0 => Finding::fail(again(stage, id, "503"), mend),
        3.. if waited < HAMMERING => Finding::fail(format!("waits of {}", list(&gaps)), mend),
        3.. if !grow => Finding::warn(format!("the waits do not grow: {}", list(&gaps)), mend),
        _ => Finding::pass(format!("waits of {}", list(&gaps))),
    };
    stage.note(Check::Backoff, finding);
    stage.expect_next("503 four times").await
}

/// A key that is refused for a while; judged at the end.
pub(super) async fn unauthorized(stage: &mut Stage<'_>) -> Result<(), Stop> {
    let id = ask(stage, "an answer that is met with 401", &[Behaviour::Refuse(401, None); 2]).await?;
    stage.watch(Check::Unauthorized, id);
    stage.answer_within(id, stage.limit().min(UNAUTHORIZED_WAIT)).await;
    stage.expect_next("401").await
}

/// What is refused for good; judged at the end.
pub(super) async fn refusals(stage: &mut Stage<'_>) -> Result<(), Stop> {
    for status in FINAL {
        let always = Script::always(Behaviour::Refuse(status, None));
        let purpose = format!("an answer that is met with {status}");
        let id = stage.ask(&purpose, stage.plain(None), always).await?;
        stage.watch(Check::Refusals, id);
        let refused = |state: &super::super::ledger::State| {
            state.cases.get(&id)?.attempts.first()?.ended.is_some().then_some(())
        };
        stage.ledger.wait(stage.limit(), refused).await;
        stage.expect_next(&format!("{status}")).await?;
    }
    Ok(())
}
