//! The archive and the end of an export (S0-24, S0-33, S0-46, X5, X6). How it is streamed, resumed and
//! broken is in the tests of downloads.

use e2e::{Customer, TestApp, expect, refusal};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{one_source, other_source, source, two_sources, wanted, with};

#[tokio::test]
async fn s0_46_x6_a_finished_export_is_one_zip_archive_to_be_saved() {
    let app = TestApp::start().await;
    let export = app.complete(&Customer::new(), &two_sources(), |place| format!("[{place}]")).await;
    let answer = expect(app.try_download(&export).await, 200).await;
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/zip");
    let file_name = format!("2026-11-21T063751Z-{}.zip", export.id);
    assert_eq!(header("content-disposition"), format!("attachment; filename=\"{file_name}\""));
    assert_eq!(header("accept-ranges"), "bytes");
    let etag = header("etag");
    assert!(etag.starts_with('"') && etag.len() == 34, "{etag} is strong");
    let length: usize = header("content-length").parse().unwrap();
    assert_eq!(answer.bytes().await.unwrap().len(), length);
    app.end().await;
}

#[tokio::test]
async fn s0_46_what_cannot_be_downloaded_says_why() {
    let app = TestApp::start().await;
    let customer = Customer::new();
    let export = app.create(&customer, &two_sources()).await;
    let not_ready = format!("'{}' is not ready for download", export.id);
    assert_eq!(refusal(app.try_download(&export).await, 400).await, not_ready);
    let error = json!({"message": "no", "error": 404});
    expect(app.report(&export.sources[0], &error).await, 202).await;
    assert_eq!(refusal(app.try_download(&export).await, 400).await, not_ready);
    expect(app.report(&export.sources[1], &error).await, 202).await;
    let all_failed = refusal(app.try_download(&export).await, 400).await;
    assert!(all_failed.contains("every source") && all_failed.contains("failed"), "{all_failed}");
    let ask = async |id: &str| app.ask(&customer, Method::GET, &format!("/exports/{id}")).send().await;
    let unknown = "2b177cb4-5229-4c90-8640-e0b9bfdc2200";
    assert_eq!(refusal(ask(unknown).await, 404).await, format!("record '{unknown}' not found"));
    assert_eq!(refusal(ask("not-a-uuid").await, 400).await, "'not-a-uuid' is not a valid export UUID");
    app.end().await;
}

#[tokio::test]
async fn s0_33_the_archive_holds_a_file_for_each_completed_source_and_tells_of_all() {
    let filtered =
        with(source("exampleResource"), "", "filters", Some(json!({"since": "2026-01-01", "all": [1]})));
    let app = TestApp::start().await;
    let export = app
        .create(&Customer::new(), &wanted(&[filtered, other_source(), source("anotherExampleResource")]))
        .await;
    expect(app.upload(&export.sources[2], "{}").await, 202).await;
    expect(app.upload(&export.sources[0], "[1]").await, 202).await;
    expect(app.report(&export.sources[1], &json!({"message": "no such resource", "error": 404})).await, 202)
        .await;
    let archive = app.download(&export).await;
    let file = |place: usize| format!("{}.json", export.sources[place].id);
    assert_eq!(archive.names(), ["meta.json", "README.md", &file(0), &file(2)]);
    assert_eq!((archive.text(&file(0)), archive.text(&file(2))), ("[1]".to_owned(), "{}".to_owned()));

    let meta = archive.meta();
    assert_eq!(
        (&meta["exported_by"], &meta["export_org_id"]),
        (&json!(export.customer.username), &json!(export.customer.org_id))
    );
    assert_eq!(meta["export_date"], "2026-11-21T06:37:51Z");
    assert!(!meta["help_string"].as_str().unwrap().is_empty());
    let files: Vec<[&Value; 4]> = meta["file_meta"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| ["filename", "application", "resource", "filters"].map(|key| &file[key]))
        .collect();
    assert_eq!(
        files,
        [
            [
                &json!(file(0)),
                &json!("exampleApplication"),
                &json!("exampleResource"),
                &json!({"since": "2026-01-01", "all": [1]})
            ],
            [&json!(file(2)), &json!("exampleApplication"), &json!("anotherExampleResource"), &json!(null)],
        ]
    );
    assert_eq!(
        meta["failed_files"],
        json!([{"filename": file(1), "application": "urn:redhat:application:other",
        "resource": "otherResource", "error": {"code": 404, "message": "no such resource"}}])
    );
    app.end().await;
}

#[tokio::test]
async fn s0_33_the_read_me_tells_people_the_same_facts() {
    let app = TestApp::start().await;
    let filtered = with(one_source(), "/sources/0", "filters", Some(json!({"since": "2026-01-01"})));
    let export = app.complete(&Customer::new(), &filtered, |_| "[1]".into()).await;
    let read_me = app.download(&export).await.text("README.md");
    assert!(read_me.starts_with("# Export Manifest\n"), "{read_me}");
    for fact in [
        "## Exported Information",
        "## Data Details",
        "## Help and Support",
        "2026-11-21T06:37:51Z",
        "2026-01-01",
        "exampleApplication",
        "exampleResource",
        &export.customer.username,
        &export.customer.org_id,
        &export.sources[0].id,
    ] {
        assert!(read_me.contains(fact), "{fact} is missing in {read_me}");
    }
    assert!(!read_me.contains("Failed Files"), "{read_me}");
    app.end().await;
}

#[tokio::test]
async fn s0_33_without_failures_no_failed_files_are_named() {
    let app = TestApp::start().await;
    let export = app.complete(&Customer::new(), &one_source(), |_| "[1]".into()).await;
    assert_eq!(app.download(&export).await.meta().get("failed_files"), None);
    app.end().await;
}

#[tokio::test]
async fn s0_33_a_csv_export_holds_csv_files() {
    let app = TestApp::start().await;
    let csv = with(one_source(), "", "format", Some(json!("csv")));
    let export = app.complete(&Customer::new(), &csv, |_| "a,b\n1,2\n".into()).await;
    assert_eq!(app.download(&export).await.text(&format!("{}.csv", export.sources[0].id)), "a,b\n1,2\n");
    app.end().await;
}

#[tokio::test]
async fn s0_24_x5_a_deleted_export_is_gone_and_so_is_its_data() {
    let app = TestApp::with(|settings| settings.expiry_reaper.grace = domain::Period::from_secs(900)).await;
    let export = app.complete(&Customer::new(), &two_sources(), |_| "[1]".into()).await;
    app.drain().await;
    assert_eq!(expect(app.delete(&export).await, 202).await.text().await.unwrap(), "");
    let not_found = format!("record '{}' not found", export.id);
    assert_eq!(refusal(app.delete(&export).await, 404).await, not_found);
    assert_eq!(refusal(app.try_download(&export).await, 404).await, not_found);
    let status = app.ask(&export.customer, Method::GET, &format!("{}/status", export.path())).send().await;
    assert_eq!(refusal(status, 404).await, not_found);
    // Downloads under way may finish within the grace.
    assert_eq!(app.object_keys().await.len(), 2);
    app.clock.advance(chrono::TimeDelta::minutes(15));
    app.wait_for_no("exports").await.unwrap();
    app.wait_for_no("object_deletions").await.unwrap();
    assert_eq!(app.object_keys().await, [""; 0]);
    app.end().await;
}

#[tokio::test]
async fn s0_24_an_export_can_be_deleted_while_it_runs() {
    let app = TestApp::start().await;
    let export = app.create(&Customer::new(), &two_sources()).await;
    expect(app.upload(&export.sources[0], "[1]").await, 202).await;
    expect(app.delete(&export).await, 202).await;
    refusal(app.upload(&export.sources[1], "[1]").await, 404).await;
    app.clock.advance(chrono::TimeDelta::days(1));
    app.wait_for_no("exports").await.unwrap();
    app.wait_for_no("object_deletions").await.unwrap();
    assert_eq!(app.object_keys().await, [""; 0]);
    app.end().await;
}
