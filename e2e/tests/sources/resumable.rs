//! Uploads in pieces (S0-tus): over connections that break, and what becomes of those that do not end well.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use domain::ByteSize;
use e2e::{Export, PATIENCE, SOURCE_APPLICATION, TestApp};
use export_source::{Answer, Refusal, Request, Settings};
use futures_util::{StreamExt as _, stream};
use serde_json::json;
use testkit::{Direction, Fault, FaultProxy, poll_until};
use tokio::time::sleep;

use crate::support::{Running, customer, settings, until, wait_for, wanted};

const CHUNK_BYTES: usize = 100_000;

fn in_pieces(app: &TestApp) -> Settings {
    Settings { resumable: true, ..settings(app) }
}

/// Chunks, no two of which are the same.
fn chunks(count: usize) -> Vec<Bytes> {
    (0..count).map(|number| format!("{number:>9}\n").repeat(CHUNK_BYTES / 10).into()).collect()
}

fn answer(chunks: Vec<Bytes>) -> Answer {
    Answer::bytes(stream::iter(chunks).map(Ok::<_, Refusal>))
}

async fn data(app: &TestApp, export: &Export) -> String {
    app.download(export).await.text(&format!("{}.json", export.sources[0].id))
}

async fn nothing_is_left(app: &TestApp) {
    let gone = poll_until(PATIENCE, async || Ok(app.object_keys().await.is_empty().then_some(()))).await;
    assert!(gone.is_ok(), "{:?}", app.object_keys().await);
}

#[tokio::test]
async fn s0_tus_data_goes_up_in_pieces() {
    let app = TestApp::start().await;
    for count in [0, 1, 200] {
        let source = Running::start(in_pieces(&app), move |_| async move { Ok(answer(chunks(count))) });
        let export = app.create(&customer(), &wanted("json", 1)).await;
        wait_for(&app, &export, "complete").await;
        assert!(data(&app, &export).await.as_bytes() == chunks(count).concat(), "{count}");
        source.stop().await;
    }
    app.wait_for_metric("resumable_uploads_total{service=\"internal-api\",what=\"finished\"} 3").await;
    app.end().await;
}

#[tokio::test]
async fn s0_tus_an_upload_goes_on_at_any_replica_after_each_broken_connection_and_the_function_is_called_once()
 {
    let app = TestApp::start().await;
    let replicas = [app.internal_url.clone(), app.second_internal_api().await];
    let replicas = replicas.map(|url| url.strip_prefix("http://").unwrap().parse().unwrap());
    let proxy = Arc::new(FaultProxy::start(replicas[0]).await.unwrap());
    proxy.set(Fault::CutEach(Direction::ToServer, 3_000_000));
    let turning = Arc::clone(&proxy);
    let turns = tokio::spawn(async move {
        for replica in replicas.into_iter().cycle() {
            turning.set_upstream(replica);
            sleep(Duration::from_millis(30)).await;
        }
    });

    let called = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&called);
    let through = Settings { internal_url: format!("http://{}", proxy.address()), ..in_pieces(&app) };
    let source = Running::start(through, move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        async { Ok(answer(chunks(200))) }
    });
    let export = app.create(&customer(), &wanted("json", 1)).await;
    wait_for(&app, &export, "complete").await;
    turns.abort();
    assert!(data(&app, &export).await.as_bytes() == chunks(200).concat());
    let counts = source.metrics.counts();
    assert_eq!((called.load(Ordering::SeqCst), counts.uploaded), (1, 1));
    assert!(counts.failed_tries >= 2, "{counts:?}");
    source.stop().await;
    app.end().await;
}

#[tokio::test]
async fn s0_tus_a_function_that_fails_on_the_way_leaves_its_reason_and_no_bytes() {
    for panics in [false, true] {
        let app = TestApp::start().await;
        let source = Running::start(in_pieces(&app), move |_| async move {
            let halfway = stream::iter(chunks(100)).map(Ok);
            let end = stream::once(async move {
                assert!(!panics, "a bug in the application");
                Err(Refusal::new(403, "you may not see the rest"))
            });
            Ok(Answer::bytes(halfway.chain(end)))
        });
        let export = app.create(&customer(), &wanted("json", 1)).await;
        let status = wait_for(&app, &export, "failed").await;
        assert_eq!(status["sources"][0]["error"], if panics { 500 } else { 403 });
        nothing_is_left(&app).await;
        source.stop().await;
        app.end().await;
    }
}

#[tokio::test]
async fn s0_tus_data_beyond_the_limit_ends_with_that_reason() {
    let app = TestApp::with(|settings| {
        settings.application(SOURCE_APPLICATION).max_upload_bytes = Some(ByteSize::from_mib(1));
    })
    .await;
    let source = Running::start(in_pieces(&app), async |_| Ok(answer(chunks(200))));
    let export = app.create(&customer(), &wanted("json", 1)).await;
    let status = wait_for(&app, &export, "failed").await;
    assert_eq!(status["sources"][0]["error"], 413);
    let metrics = source.metrics.clone();
    until("dealt with", || metrics.counts().refused + metrics.counts().settled_before == 1).await;
    nothing_is_left(&app).await;
    source.stop().await;
    app.end().await;
}

#[tokio::test]
async fn s0_tus_csv_that_is_changed_for_spreadsheets_goes_up_in_pieces_too() {
    let app = TestApp::start().await;
    let rows = Bytes::from("=1+1\n".repeat(4_000_000));
    let given = rows.clone();
    let source = Running::start(in_pieces(&app), move |_| {
        let rows = given.clone();
        async { Ok(answer(vec![rows])) }
    });
    let mut wanted = wanted("csv", 1);
    wanted["sources"][0]["csv"] = json!({"formula_guard": true});
    let export = app.create(&customer(), &wanted).await;
    wait_for(&app, &export, "complete").await;
    let text = app.download(&export).await.text(&format!("{}.csv", export.sources[0].id));
    assert!(text == "'=1+1\n".repeat(4_000_000));
    assert_eq!(source.metrics.counts().failed_tries, 0);
    source.stop().await;
    app.end().await;
}

#[tokio::test]
async fn s0_tus_an_upload_that_is_given_up_at_the_stop_leaves_no_bytes_and_is_asked_again() {
    let app = TestApp::start().await;
    let short = Settings { stop_grace: Duration::from_millis(100), ..in_pieces(&app) };
    let source = Running::start(short, async |_: Request| {
        let endless = stream::iter(chunks(100)).chain(stream::pending());
        Ok(Answer::bytes(endless.map(Ok::<_, Refusal>)))
    });
    let export = app.create(&customer(), &wanted("json", 1)).await;
    let uploaded = poll_until(PATIENCE, async || Ok((!app.object_keys().await.is_empty()).then_some(())));
    uploaded.await.unwrap();
    source.stop().await;
    nothing_is_left(&app).await;

    let next = Running::start(in_pieces(&app), async |_| Ok(answer(chunks(1))));
    wait_for(&app, &export, "complete").await;
    next.stop().await;
    app.end().await;
}
