//! What becomes of what the function returns.

use std::time::Duration;

use bytes::Bytes;
use domain::{ByteSize, Period};
use e2e::{SOURCE_APPLICATION, TestApp, expect};
use export_source::{Answer, Refusal, Request, Settings};
use futures_util::{StreamExt as _, stream};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::support::{Running, customer, settings, until, wait_for, wanted};

#[derive(Serialize)]
struct Row {
    number: i64,
    text: &'static str,
}

/// Ten rows, of which a filter may leave out the first.
async fn rows(request: Request) -> Result<Answer, Refusal> {
    assert_eq!((request.org_id.as_str(), request.identity.username().as_deref()), ("3340851", Some("jdoe")));
    let from = request.filters.get("from").and_then(Value::as_i64).unwrap_or(0);
    let rows = (from..10).map(|number| Ok::<_, Refusal>(Row { number, text: "a \"b\"," }));
    Ok(Answer::rows(stream::iter(rows)))
}

#[tokio::test]
async fn rows_are_delivered_in_the_format_that_was_asked_for() {
    let app = TestApp::start().await;
    let source = Running::start(settings(&app), rows);
    for format in ["json", "csv"] {
        let export = app.create(&customer(), &wanted(format, 2)).await;
        wait_for(&app, &export, "complete").await;
        let archive = app.download(&export).await;
        let text = archive.text(&format!("{}.{format}", export.sources[0].id));
        if format == "json" {
            let rows: Vec<Value> = serde_json::from_str(&text).unwrap();
            assert_eq!((rows.len(), &rows[0]), (7, &json!({"number": 3, "text": "a \"b\","})));
        } else {
            assert!(text.starts_with("number,text\r\n3,\"a \"\"b\"\",\"\r\n"), "{text}");
            assert_eq!(text.lines().count(), 8);
        }
    }
    assert_eq!(source.metrics.counts().uploaded, 4);
    source.stop().await;
    app.end().await;
}

#[tokio::test]
async fn a_refusal_is_what_the_customer_reads() {
    let app = TestApp::start().await;
    let source = Running::start(settings(&app), async |_| Err(Refusal::new(403, "not for you")));
    let export = app.create(&customer(), &wanted("json", 1)).await;
    let status = wait_for(&app, &export, "failed").await;
    let failed = &status["sources"][0];
    assert_eq!((&failed["error"], &failed["message"]), (&json!(403), &json!("not for you")));
    source.stop().await;
    app.end().await;
}

#[tokio::test]
async fn records_of_others_are_passed_over_and_what_is_gone_is_dropped() {
    let app = TestApp::start().await;
    let other = json!({"name": "n", "format": "json",
        "sources": [{"application": e2e::OTHER_APPLICATION, "resource": "otherResource"}]});
    app.create(&customer(), &other).await;
    let deleted = app.create(&customer(), &wanted("json", 1)).await;
    // Its event is there before it is deleted.
    app.drain().await;
    expect(app.delete(&deleted).await, 202).await;
    let answered = app.create(&customer(), &wanted("json", 1)).await;
    expect(app.upload(&answered.sources[0], "[\"by somebody else\"]").await, 202).await;

    let source = Running::start(settings(&app), rows);
    let metrics = source.metrics.clone();
    until("dealt with all", || {
        let counts = metrics.counts();
        (counts.passed_over, counts.gone, counts.settled_before) == (1, 1, 1)
    })
    .await;
    assert_eq!(metrics.counts().failed_tries, 0);
    source.stop().await;
    app.end().await;
}

#[tokio::test]
async fn a_function_may_take_its_time_for_the_first_row() {
    let app = TestApp::with(|settings| {
        settings.internal_api.http.body.idle_timeout = Period::from_millis(300);
    })
    .await;
    let source = Running::start(settings(&app), async |_| {
        let rows = stream::iter([1, 2]).then(async |number| {
            sleep(Duration::from_millis(if number == 1 { 1_500 } else { 0 })).await;
            Ok::<_, Refusal>(Row { number, text: "late" })
        });
        Ok(Answer::rows(rows))
    });
    let export = app.create(&customer(), &wanted("json", 1)).await;
    wait_for(&app, &export, "complete").await;
    assert_eq!(source.metrics.counts().failed_tries, 0);
    source.stop().await;
    app.end().await;
}

#[tokio::test]
async fn a_function_that_pauses_for_too_long_gets_its_rows_through_in_pieces() {
    let app = TestApp::with(|settings| {
        settings.internal_api.http.body.idle_timeout = Period::from_millis(300);
    })
    .await;
    let pausing = Settings { resumable: true, ..settings(&app) };
    let source = Running::start(pausing, async |_| {
        let rows = stream::iter([1, 2]).then(async |number| {
            sleep(Duration::from_millis(1_500)).await;
            Ok::<_, Refusal>(Row { number, text: "late" })
        });
        Ok(Answer::rows(rows))
    });
    let export = app.create(&customer(), &wanted("json", 1)).await;
    wait_for(&app, &export, "complete").await;
    assert_eq!(source.metrics.counts().failed_tries, 0);
    source.stop().await;
    app.end().await;
}

#[tokio::test]
async fn data_beyond_the_limit_is_not_sent_again_and_again() {
    let app = TestApp::with(|settings| {
        settings.application(SOURCE_APPLICATION).max_upload_bytes = Some(ByteSize::from_mib(1));
    })
    .await;
    let source = Running::start(settings(&app), async |_| {
        let chunks = stream::repeat(Bytes::from(vec![b' '; 64 * 1024])).take(1_000);
        Ok(Answer::bytes(chunks.map(Ok::<_, Refusal>)))
    });
    let export = app.create(&customer(), &wanted("json", 5)).await;
    let status = wait_for(&app, &export, "failed").await;
    assert_eq!(status["sources"][0]["error"], 413);
    let metrics = source.metrics.clone();
    until("dealt with", || metrics.counts().refused + metrics.counts().settled_before == 5).await;
    assert!(metrics.counts().failed_tries <= 5, "{:?}", metrics.counts());
    source.stop().await;
    app.end().await;
}

#[tokio::test]
async fn a_refusal_of_any_length_is_what_the_customer_reads() {
    let app = TestApp::start().await;
    let source = Running::start(settings(&app), async |_| Err(Refusal::new(404, "x".repeat(1_000_000))));
    let export = app.create(&customer(), &wanted("json", 1)).await;
    let status = wait_for(&app, &export, "failed").await;
    let message = status["sources"][0]["message"].as_str().unwrap();
    assert!(message.starts_with("xxx") && message.ends_with('…'), "{message}");
    source.stop().await;
    app.end().await;
}
