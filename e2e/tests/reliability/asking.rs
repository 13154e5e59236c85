//! Sources that are asked again, by dispatchers that die and dispatchers that share the work.

use e2e::PATIENCE;
use serde_json::json;
use testkit::poll_until;

use crate::{
    payload::payload,
    platform::Platform,
    program::Service::{Dispatcher, PublicApi},
    rig::Rig,
    topic::Event,
};

/// Asked at once and after four seconds; it fails after twelve.
const TWO_TRIES: &str = "[public_api]\nanswer_within = \"12s\"\nmax_tries = 2\n";

/// The same, where a dead dispatcher's lease ends soon.
const TWO_TRIES_AND_SHORT_LEASES: &str = "[public_api]\nanswer_within = \"24s\"\nmax_tries = 2\n\
                                          [kafka]\nmessage_timeout = \"1s\"\n[dispatcher]\nlease = \"3s\"\n";

fn different(events: &[Event]) -> usize {
    events.iter().map(|event| &event.id).collect::<std::collections::BTreeSet<_>>().len()
}

#[tokio::test]
async fn what_a_dying_dispatcher_was_about_to_ask_again_is_asked() {
    let rig = Rig::with(TWO_TRIES_AND_SHORT_LEASES).await;
    let dying = Some((Dispatcher, "dispatcher::asked-again=return"));
    let mut platform = Platform::on_failing(rig, dying).await;
    let export = platform.asking.create(2).await.unwrap();
    let first = platform.rig.topic.wait_for(2).await;
    platform.crash_and_restart(Dispatcher).await;
    let events = platform.rig.topic.wait_for(4).await;
    assert_eq!((different(&first), different(&events)), (2, 4));
    platform.deliver_all(4).await;
    let status = platform.asking.status(&export.id).await.unwrap();
    assert_eq!(status["status"], "complete");
    assert_eq!(platform.audit().await.events, 4);
}

#[tokio::test]
async fn several_dispatchers_ask_each_source_once_more_and_give_it_up_once() {
    let platform = Platform::on(Rig::with(TWO_TRIES).await).await;
    let second = platform.rig.start(Dispatcher).await;
    let mut exports = Vec::new();
    for _ in 0..5 {
        exports.push(platform.asking.create(4).await.unwrap());
    }
    platform.rig.topic.wait_for(40).await;
    for export in &exports {
        let ended = poll_until(PATIENCE, async || {
            let status = platform.asking.status(&export.id).await?;
            Ok((status["status"] == "failed").then_some(status))
        });
        let status = ended.await.unwrap();
        let message = "the application did not answer in time, although it was asked 2 times";
        assert_eq!(status["sources"][0]["message"], json!(message));
    }
    let audit = platform.audit().await;
    assert_eq!((audit.events, audit.copies), (40, 0));
    drop(second);
}

#[tokio::test]
async fn a_retry_whose_answer_was_lost_is_asked() {
    let mut platform = Platform::failing_at(PublicApi, "public-api::retried").await;
    let export = platform.asking.create(2).await.unwrap();
    platform.rig.topic.wait_for(2).await;
    let [failed, delivered] = &export.sources[..] else { panic!("two sources") };
    assert_eq!(platform.answering.report(&export.id, failed).await.unwrap(), 202);
    assert_eq!(platform.answering.upload(&export.id, delivered, payload(delivered, 900)).await.unwrap(), 202);
    platform.asking.retry(&export.id, failed).await.unwrap_err();
    platform.crash_and_restart(PublicApi).await;
    // It was done: once more is refused.
    assert_eq!(platform.asking.retry(&export.id, failed).await.unwrap(), 409);
    platform.rig.topic.wait_for(3).await;
    assert_eq!(platform.answering.upload(&export.id, failed, payload(failed, 900)).await.unwrap(), 202);
    let audit = platform.audit().await;
    assert_eq!((audit.archives, audit.events, audit.objects), (1, 3, 2));
}
