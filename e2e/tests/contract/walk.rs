//! An export from its request to its archive.

use e2e::{Customer, SOURCE_APPLICATION, SourceApplication, TestApp, expect};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn an_export_is_asked_for_delivered_and_downloaded() {
    let app = TestApp::start().await;
    let (customer, application) = (Customer::new(), SourceApplication::named(SOURCE_APPLICATION));
    let wanted = json!({"name": "Nightly", "format": "json",
        "sources": [{"application": SOURCE_APPLICATION, "resource": "exampleResource"}]});
    let created = app.ask(&customer, Method::POST, "/exports").json(&wanted).send().await;
    let created: Value = expect(created, 202).await.json().await.unwrap();
    let (export, source) = (created["id"].as_str().unwrap(), created["sources"][0]["id"].as_str().unwrap());
    assert_eq!(app.records(1).await.len(), 1);

    let path = format!("/{export}/{SOURCE_APPLICATION}/{source}/upload");
    let delivered = app.answer(&application, Method::POST, &path).body("[1, 2, 3]").send().await;
    assert_eq!(expect(delivered, 202).await.text().await.unwrap(), "payload delivered");

    let archive = app.ask(&customer, Method::GET, &format!("/exports/{export}")).send().await;
    let bytes = expect(archive, 200).await.bytes().await.unwrap();
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
    let member = archive.by_name(&format!("{source}.json")).unwrap();
    assert_eq!(std::io::read_to_string(member).unwrap(), "[1, 2, 3]");
    app.end().await;
}
