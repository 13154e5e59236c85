//! Several at once: replicas of an application, copies of a request, the end of one that is at work.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use e2e::{PATIENCE, TestApp};
use export_source::{Answer, Refusal, Request, Settings};
use futures_util::{StreamExt as _, stream};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::support::{Running, a_while, customer, settings, until, wait_for, wanted};

async fn small(_: Request) -> Result<Answer, Refusal> {
    Ok(Answer::bytes(stream::iter([Ok::<_, Refusal>(Bytes::from_static(b"[]"))])))
}

/// Data whose end comes when the door is opened.
fn held(door: &watch::Receiver<bool>) -> Answer {
    let mut door = door.clone();
    let end = stream::once(async move {
        let opened = door.wait_for(|open| *open).await.is_ok();
        if opened { Ok(Bytes::from_static(b"]")) } else { Err(Refusal::new(500, "the test is over")) }
    });
    Answer::bytes(stream::iter([Ok(Bytes::from_static(b"["))]).chain(end))
}

#[tokio::test]
async fn nothing_is_lost_when_replicas_come_and_go() {
    let app = TestApp::start().await;
    let slowly = async |request| {
        sleep(Duration::from_millis(20)).await;
        small(request).await
    };
    let first = Running::start(settings(&app), slowly);
    let mut exports = Vec::new();
    for _ in 0..10 {
        exports.push(app.create(&customer(), &wanted("json", 5)).await);
    }
    let second = Running::start(settings(&app), slowly);
    for _ in 0..10 {
        exports.push(app.create(&customer(), &wanted("json", 5)).await);
    }
    // Whichever of them has the partition by now.
    let (one, other) = (first.metrics.clone(), second.metrics.clone());
    until("at work", || one.counts().uploaded + other.counts().uploaded > 0).await;
    first.stop().await;
    for export in &exports {
        wait_for(&app, export, "complete").await;
    }
    second.stop().await;
    app.end().await;
}

#[tokio::test]
async fn an_upload_under_way_is_finished_when_the_application_stops() {
    let app = TestApp::start().await;
    let (open, door) = watch::channel(false);
    let source = Running::start(settings(&app), move |_| {
        let answer = held(&door);
        async { Ok(answer) }
    });
    let export = app.create(&customer(), &wanted("json", 1)).await;
    let metrics = source.metrics.clone();
    until("uploading", || metrics.counts().bytes > 0).await;
    let (stopped, ()) = tokio::join!(source.stop(), async {
        a_while().await;
        open.send(true).unwrap();
    });
    let () = stopped;
    wait_for(&app, &export, "complete").await;

    // It was committed: nobody is asked again.
    let next = Running::start(settings(&app), small);
    let again = app.create(&customer(), &wanted("json", 1)).await;
    wait_for(&app, &again, "complete").await;
    assert_eq!(next.metrics.counts().settled_before, 0);
    next.stop().await;
    app.end().await;
}

#[tokio::test]
async fn an_upload_that_does_not_end_in_time_is_asked_again_after_the_next_start() {
    let app = TestApp::start().await;
    let (_never, door) = watch::channel(false);
    let short = Settings { stop_grace: Duration::from_millis(200), ..settings(&app) };
    let source = Running::start(short, move |_| {
        let answer = held(&door);
        async { Ok(answer) }
    });
    let export = app.create(&customer(), &wanted("json", 1)).await;
    let metrics = source.metrics.clone();
    until("uploading", || metrics.counts().bytes > 0).await;
    source.stop().await;

    let next = Running::start(settings(&app), small);
    wait_for(&app, &export, "complete").await;
    next.stop().await;
    app.end().await;
}

#[tokio::test]
async fn at_most_as_many_are_answered_at_the_same_time_as_may_be() {
    let app = TestApp::start().await;
    let (now, most) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (counted, highest) = (Arc::clone(&now), Arc::clone(&most));
    let source = Running::start(Settings { parallel: 3, ..settings(&app) }, move |request| {
        let (now, most) = (Arc::clone(&counted), Arc::clone(&highest));
        async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            sleep(Duration::from_millis(50)).await;
            now.fetch_sub(1, Ordering::SeqCst);
            small(request).await
        }
    });
    let export = app.create(&customer(), &wanted("json", 30)).await;
    wait_for(&app, &export, "complete").await;
    assert_eq!((now.load(Ordering::SeqCst), most.load(Ordering::SeqCst)), (0, 3));
    source.stop().await;
    app.end().await;
}

#[tokio::test]
async fn many_requests_do_not_wait_for_the_broker_one_by_one() {
    let app = TestApp::start().await;
    let export = app.create(&customer(), &wanted("json", 400)).await;
    app.drain().await;
    let source = Running::start(settings(&app), small);
    let metrics = source.metrics.clone();
    until("at work", || metrics.counts().uploaded > 0).await;
    // A record that is fetched anew takes half a second: four at a time would take fifty.
    let done = timeout(Duration::from_secs(25), wait_for(&app, &export, "complete")).await;
    assert!(done.is_ok(), "{:?}", metrics.counts());
    source.stop().await;
    app.end().await;
}

#[tokio::test]
async fn a_long_stop_does_not_cost_the_place_in_the_group() {
    let app = TestApp::start().await;
    let (open, door) = watch::channel(false);
    let impatient = [("max.poll.interval.ms", "6000"), ("session.timeout.ms", "6000")]
        .map(|(name, value)| (name.into(), value.into()));
    let settings = Settings { kafka: impatient.into(), stop_grace: PATIENCE, ..settings(&app) };
    let source = Running::start(settings.clone(), move |_| {
        let answer = held(&door);
        async { Ok(answer) }
    });
    let export = app.create(&customer(), &wanted("json", 1)).await;
    let metrics = source.metrics.clone();
    until("uploading", || metrics.counts().bytes > 0).await;
    tokio::join!(source.stop(), async {
        sleep(Duration::from_secs(9)).await;
        open.send(true).unwrap();
    });
    wait_for(&app, &export, "complete").await;

    // It was committed: nobody is asked again.
    let next = Running::start(settings, small);
    let again = app.create(&customer(), &wanted("json", 1)).await;
    wait_for(&app, &again, "complete").await;
    assert_eq!((next.metrics.counts().uploaded, next.metrics.counts().settled_before), (1, 0));
    next.stop().await;
    app.end().await;
}
