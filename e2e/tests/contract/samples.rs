//! The recorded samples, whole: status, headers that clients read, and body. Ids are replaced by their
//! names; the clock stands still, so times are not.

use e2e::{Answer, Customer, Export, SOURCE_APPLICATION, SourceApplication, TestApp, expect};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{one_source, source, with};

/// An answer as text, with the ids of `export` replaced.
async fn told(answer: Answer, export: Option<&Export>) -> String {
    let response = answer.unwrap();
    let mut lines = vec![response.status().as_u16().to_string()];
    for name in ["content-type", "content-disposition"] {
        if let Some(value) = response.headers().get(name) {
            lines.push(format!("{name}: {}", value.to_str().unwrap()));
        }
    }
    if lines.iter().any(|line| line.ends_with("application/zip")) {
        lines.push("(the archive)".into());
    } else {
        let body = response.text().await.unwrap();
        let body = match serde_json::from_str::<Value>(&body) {
            Ok(body) => serde_json::to_string_pretty(&body).unwrap(),
            Err(_) => body,
        };
        lines.push(body);
    }
    let text = lines.join("\n");
    export.map_or(text.clone(), |export| redacted(&text, export))
}

fn redacted(text: &str, export: &Export) -> String {
    let mut text = text.replace(&export.id, "[export]");
    for (place, source) in export.sources.iter().enumerate() {
        text = text.replace(&source.id, &format!("[source {place}]"));
    }
    text
}

fn nightly() -> Value {
    let filtered = with(source("exampleResource"), "", "filters", Some(json!({"since": "2026-01-01"})));
    json!({"name": "Nightly", "format": "json", "expires_at": "2027-01-01T00:00:00Z",
        "sources": [filtered, source("anotherExampleResource")]})
}

#[tokio::test]
async fn s0_25_s0_41_a_create_request_is_answered_as_recorded() {
    let app = TestApp::start().await;
    let answer = app.try_create(&Customer::new(), &nightly()).await;
    let response = expect(answer, 202).await;
    assert_eq!(response.headers()["content-type"], "application/json");
    let body: Value = response.json().await.unwrap();
    let mut text = serde_json::to_string_pretty(&body).unwrap();
    for (id, name) in [
        (&body["id"], "[export]"),
        (&body["sources"][0]["id"], "[source 0]"),
        (&body["sources"][1]["id"], "[source 1]"),
    ] {
        text = text.replace(id.as_str().unwrap(), name);
    }
    insta::assert_snapshot!("create", text);
    app.end().await;
}

#[tokio::test]
async fn s0_44_a_listing_is_answered_as_recorded() {
    let app = TestApp::start().await;
    let customer = Customer::new();
    let mut exports = Vec::new();
    for name in ["n3", "n2", "n1", "n0"] {
        let wanted =
            with(with(one_source(), "", "name", Some(json!(name))), "", "format", Some(json!("csv")));
        exports.push(app.create(&customer, &wanted).await);
    }
    let listing = app.try_list(&customer, "?limit=1&offset=1&sort=name&dir=desc").await;
    insta::assert_snapshot!("list", told(listing, Some(&exports[1])).await);
    app.end().await;
}

#[tokio::test]
async fn s0_41_s0_46_the_life_of_an_export_is_told_as_recorded() {
    let app = TestApp::start().await;
    let customer = Customer::named("jdoe");
    let export = app.create(&customer, &nightly()).await;
    let status = async || app.ask(&customer, Method::GET, &format!("{}/status", export.path())).send().await;
    let mut log = Vec::new();
    let mut note = async |title: &str, answer: Answer| {
        log.push(format!("== {title}\n{}", told(answer, Some(&export)).await));
    };
    note("download, not finished", app.try_download(&export).await).await;
    note("upload", app.upload(&export.sources[0], "[1, 2, 3]").await).await;
    note("upload again, other bytes", app.upload(&export.sources[0], "[1, 2, 4]").await).await;
    note("status, one settled", status().await).await;
    note("error, incomplete", app.report(&export.sources[1], &json!({"message": "x"})).await).await;
    let error = json!({"message": "no such resource", "error": 404});
    app.clock.advance(chrono::TimeDelta::milliseconds(59));
    note("error", app.report(&export.sources[1], &error).await).await;
    note("status, all settled", status().await).await;
    note("download", app.try_download(&export).await).await;
    let archive = app.download(&export).await;
    note("delete", app.delete(&export).await).await;
    note("delete again", app.delete(&export).await).await;
    insta::assert_snapshot!("life", log.join("\n\n"));
    let meta = serde_json::to_string_pretty(&archive.meta()).unwrap();
    insta::assert_snapshot!("meta.json", redacted(&meta, &export));
    insta::assert_snapshot!("README.md", redacted(&archive.text("README.md"), &export));
    app.end().await;
}

#[tokio::test]
async fn s0_42_s0_43_refusals_are_worded_as_recorded() {
    let app = TestApp::start().await;
    let customer = Customer::new();
    let export = app.create(&customer, &one_source()).await;
    let unknown = "2b177cb4-5229-4c90-8640-e0b9bfdc2200";
    let get = async |path: &str| app.ask(&customer, Method::GET, &format!("/exports{path}")).send().await;
    let post = async |change: Value| {
        let mut wanted = one_source();
        wanted.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        app.try_create(&customer, &wanted).await
    };
    let upload = format!("{}/upload", export.sources[0].path);
    let wrong_key = SourceApplication::named(SOURCE_APPLICATION).with_key("wrong");
    let mut log = Vec::new();
    for (title, answer) in [
        ("GET exports/not-a-uuid/status", get("/not-a-uuid/status").await),
        ("GET exports/UNKNOWN/status", get(&format!("/{unknown}/status")).await),
        ("GET exports, no identity", app.ask_unidentified(Method::GET, "/exports").send().await),
        ("GET exports?created_at=yesterday", get("?created_at=yesterday").await),
        ("GET exports?limit=-1", get("?limit=-1").await),
        ("GET exports?sort=colour", get("?sort=colour").await),
        ("POST exports, format pdf", post(json!({"format": "pdf"})).await),
        ("POST exports, sources []", post(json!({"sources": []})).await),
        (
            "POST exports, unknown application",
            post(json!({"sources": [{"application": "x", "resource": "y"}]})).await,
        ),
        ("POST upload, wrong key", app.answer(&wrong_key, Method::POST, &upload).body("[]").send().await),
        ("POST upload, no key", app.answer_unidentified(Method::POST, &upload).body("[]").send().await),
    ] {
        log.push(format!("== {title}\n{}", told(answer, Some(&export)).await));
    }
    insta::assert_snapshot!("refusals", log.join("\n\n"));
    app.end().await;
}
