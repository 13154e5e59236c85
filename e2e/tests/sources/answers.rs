//! What becomes of what the function returns.

use e2e::{TestApp, expect};
use export_source::{Answer, Refusal, Request};
use futures_util::stream;
use serde::Serialize;
use serde_json::{Value, json};

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
