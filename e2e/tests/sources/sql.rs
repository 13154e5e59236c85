//! The SQL source on the platform's own database (`examples/sql-source/platform.toml`).

use std::{sync::Arc, time::Duration};

use e2e::{Customer, SOURCE_APPLICATION, TestApp};
use serde_json::{Value, json};
use sql_source::{answer::Queries, database::Database, resources::Resources};

use crate::support::{Running, customer, settings, wait_for};

/// The file, its resources under the names that the usual application has.
fn resources() -> Resources {
    let text = include_str!("../../../examples/sql-source/platform.toml");
    let text = text.replace("[resources.exports]", "[resources.exampleResource]");
    Resources::parse(&text.replace("[resources.sources]", "[resources.anotherExampleResource]")).unwrap()
}

fn wanted(resource: &str, filters: &Value) -> Value {
    let source = json!({"application": SOURCE_APPLICATION, "resource": resource, "filters": filters});
    json!({"name": "mine", "format": "json", "sources": [source]})
}

#[tokio::test]
async fn customers_export_the_list_of_their_exports_and_nobody_elses() {
    let app = TestApp::start().await;
    let database = Database::new(&app.database.url(), Duration::from_secs(20)).unwrap();
    let queries = Queries { resources: Arc::new(resources()), database };
    let source = Running::start(settings(&app), move |request| queries.clone().answer(request));

    let other = Customer::named("somebody else");
    let theirs = app.create(&other, &wanted("exampleResource", &json!({}))).await;
    wait_for(&app, &theirs, "complete").await;
    let mine = app.create(&customer(), &wanted("exampleResource", &json!({"status": "pending"}))).await;
    wait_for(&app, &mine, "complete").await;
    let rows = rows(&app, &mine).await;
    assert_eq!((rows.as_array().unwrap().len(), &rows[0]["id"]), (1, &json!(mine.id)));

    let sources = wanted("anotherExampleResource", &json!({"export_id": mine.id}));
    let sources = app.create(&customer(), &sources).await;
    wait_for(&app, &sources, "complete").await;
    assert_eq!(self::rows(&app, &sources).await[0]["status"], "complete");

    let refused = app.create(&customer(), &wanted("anotherExampleResource", &json!({}))).await;
    let status = wait_for(&app, &refused, "failed").await;
    assert_eq!(status["sources"][0]["message"], "the filter export_id is needed");
    source.stop().await;
    app.end().await;
}

async fn rows(app: &TestApp, export: &e2e::Export) -> Value {
    let archive = app.download(export).await;
    serde_json::from_str(&archive.text(&format!("{}.json", export.sources[0].id))).unwrap()
}
