//! The example requests that ship with the project run as they are (S0-examples).

use std::path::Path;

use e2e::{Customer, SOURCE_APPLICATION, SourceApplication, TestApp};
use serde_json::{Value, json};
use tokio::process::Command;

/// Runs an example and returns what it printed.
async fn run(example: &str, arguments: &[&str]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples").join(example);
    let output = Command::new(path).args(arguments).env("no_proxy", "*").output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn s0_examples_an_export_is_created_and_an_error_reported_by_the_scripts() {
    let app = TestApp::start().await;
    let created: Value =
        serde_json::from_str(&run("create-export.sh", &[&app.public_url, "jdoe"]).await).unwrap();
    let sources = created["sources"].as_array().unwrap();
    assert_eq!(sources.len(), 2);
    assert!(sources.iter().all(|source| source["filters"].is_object()), "{created}");

    let (export, source) = (created["id"].as_str().unwrap(), sources[0]["id"].as_str().unwrap());
    let key = SourceApplication::named(SOURCE_APPLICATION).key;
    run("report-error.sh", &[&app.internal_url, &key, export, source]).await;
    let customer = Customer { org_id: "1".into(), account: String::new(), username: "jdoe".into() };
    let listed = app.list(&customer, "?status=running").await;
    assert_eq!((&listed["meta"]["count"], &listed["data"][0]["id"]), (&json!(1), &created["id"]));
    app.end().await;
}
