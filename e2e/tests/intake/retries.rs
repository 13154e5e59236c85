//! Servers that fail for a while, or for ever.

use std::time::Duration;

use crate::{
    endpoint::Behaviour,
    support::{Announcing, announcement},
};

fn at_first(times: u32, behaviour: Behaviour) -> Behaviour {
    Behaviour::Then(times, Box::new(behaviour), Box::new(Behaviour::Body(b"[1]".to_vec())))
}

#[tokio::test]
async fn s2_3_what_passes_is_tried_again() {
    let announcing = Announcing::start().await;
    let troubles = [
        Behaviour::Status(500),
        Behaviour::Status(503),
        Behaviour::Status(429),
        Behaviour::Cut(vec![b' '; 200_000]),
        Behaviour::Silent,
    ];
    let export = announcing.export(troubles.len()).await;
    for (place, trouble) in troubles.iter().enumerate() {
        let url = announcing.endpoint.put(&format!("{place}"), at_first(2, trouble.clone()));
        announcing.announce(&announcement(&export, place, &url)).await;
    }
    for (place, trouble) in troubles.iter().enumerate() {
        announcing.wait_source(&export, place, "complete").await;
        assert_eq!(announcing.endpoint.requests(&format!("{place}")), 3, "{trouble:?}");
    }
    let archive = announcing.app.download(&export).await;
    for source in &export.sources {
        assert_eq!(archive.text(&format!("{}.json", source.id)), "[1]");
    }
    announcing.end().await;
}

#[tokio::test]
async fn a_server_that_does_not_heal_is_given_up_within_the_budget() {
    let announcing = Announcing::start().await;
    let export = announcing.export(1).await;
    let url = announcing.endpoint.put("dead", Behaviour::Status(502));
    announcing.announce(&announcement(&export, 0, &url)).await;
    let letter = announcing.dead_letters(1).await.remove(0);
    assert_eq!(letter.reason, "gave up after 4 tries: the server answers with status 502");
    assert_eq!(announcing.endpoint.requests("dead"), 4);
    let source = announcing.wait_source(&export, 0, "pending").await;
    assert!(source["error"].is_null(), "the application may still deliver: {source}");
    announcing.end().await;
}

#[tokio::test]
async fn a_failing_server_does_not_hold_up_the_records_behind_it() {
    let announcing = Announcing::with(|all| {
        all.intake.max_tries = 1_000;
        all.intake.parallel = 2;
    })
    .await;
    let export = announcing.export(30).await;
    let failing = announcing.endpoint.put("failing", Behaviour::Status(503));
    let slow = announcing.endpoint.put("slow", Behaviour::Slow(Duration::from_millis(500), b"[2]".to_vec()));
    for place in 0..10 {
        announcing.announce(&announcement(&export, place, &failing)).await;
    }
    announcing.announce(&announcement(&export, 10, &slow)).await;
    let good = announcing.endpoint.put("good", Behaviour::Body(b"[1]".to_vec()));
    for place in 11..30 {
        announcing.announce(&announcement(&export, place, &good)).await;
    }
    for place in 10..30 {
        announcing.wait_source(&export, place, "complete").await;
    }
    assert!(announcing.endpoint.requests("failing") > 10);
    // It heals, and so do they.
    announcing.endpoint.put("failing", Behaviour::Body(b"[3]".to_vec()));
    for place in 0..10 {
        announcing.wait_source(&export, place, "complete").await;
    }
    announcing.dead_letters(0).await;
    announcing.end().await;
}
