//! What source applications answer besides data (S0-19, S0-47, S0-47c, S0-deadline, S0-ping, X3).

use chrono::TimeDelta;
use e2e::{Customer, SOURCE_APPLICATION, TestApp, expect, refusal};
use internal_api::DuplicateUploadStatus;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    support::{
        one_export, one_export_with, one_source, posting, source, source_status, two_sources, usual, wanted,
    },
    uploads::gzip,
};

const NO_SUCH_ID: &str = "2b177cb4-5229-4c90-8640-e0b9bfdc2200";

#[tokio::test]
async fn s0_19_an_error_is_taken_whatever_its_content_type_says() {
    let app = TestApp::start().await;
    let export = app.create(&Customer::new(), &two_sources()).await;
    for (source, content_type) in export.sources.iter().zip(["application/json", "text/csv"]) {
        let report = app.answer(&usual(), Method::POST, &format!("{}/error", source.path));
        let report = report.header("content-type", content_type);
        let report = report.body(r#"{"message": "no such resource", "error": 404}"#);
        assert_eq!(expect(report.send().await, 202).await.text().await.unwrap(), "");
    }
    let status = app.status(&export).await;
    assert_eq!(status["status"], "failed");
    for source in status["sources"].as_array().unwrap() {
        assert_eq!((&source["message"], &source["error"]), (&json!("no such resource"), &json!(404)));
    }
    app.end().await;
}

#[tokio::test]
async fn s0_19_code_is_another_name_for_error_and_any_integer_but_zero_is_one() {
    let reports = [
        (json!({"message": "a", "code": 500}), 500),
        (json!({"message": "b", "error": -1}), -1),
        (json!({"message": "c", "error": i64::MAX}), i64::MAX),
        (json!({"message": "", "error": 1, "more": [1]}), 1),
    ];
    let app = TestApp::start().await;
    let sources: Vec<Value> = reports.iter().map(|_| source("exampleResource")).collect();
    let export = app.create(&Customer::new(), &wanted(&sources)).await;
    for (source, (report, _)) in export.sources.iter().zip(&reports) {
        expect(app.report(source, report).await, 202).await;
    }
    let told = app.status(&export).await;
    let told: Vec<i64> =
        told["sources"].as_array().unwrap().iter().map(|source| source["error"].as_i64().unwrap()).collect();
    assert_eq!(told, reports.map(|(_, code)| code));
    app.end().await;
}

#[tokio::test]
async fn s0_19_of_a_long_message_the_beginning_is_kept_and_a_repeat_is_known_as_one() {
    let (app, export) = one_export().await;
    let report = json!({"message": "ü".repeat(30_000), "error": 500});
    for _ in 0..2 {
        expect(app.report(&export.sources[0], &report).await, 202).await;
    }
    assert_eq!(source_status(&app, &export).await["message"], format!("{}…", "ü".repeat(510)));
    app.end().await;
}

#[tokio::test]
async fn s0_19_an_incomplete_report_is_refused_and_leaves_the_source_open() {
    let (app, export) = one_export().await;
    let incomplete = [
        json!({"message": "x"}),
        json!({"error": 404}),
        json!({"message": "x", "error": 0}),
        json!({}),
        json!([]),
        json!({"message": "x", "error": "404"}),
        json!({"message": 7, "error": 404}),
        json!(null),
        json!({"message": "x", "error": 4.5}),
        json!({"message": null, "error": 404}),
    ];
    for report in incomplete {
        let refused = refusal(app.report(&export.sources[0], &report).await, 400).await;
        assert_eq!(refused, "Both 'message' and 'code' are required fields", "{report}");
    }
    assert_eq!(source_status(&app, &export).await["status"], "pending");
    app.end().await;
}

#[tokio::test]
async fn s0_47_an_id_that_is_no_uuid_is_named() {
    let (app, export) = one_export().await;
    let source = &export.sources[0].id;
    for verb in ["upload", "error"] {
        let post = async |path: String| app.answer(&usual(), Method::POST, &path).body("[]").send().await;
        let wrong_export = post(format!("/x-1/{SOURCE_APPLICATION}/{source}/{verb}")).await;
        assert_eq!(refusal(wrong_export, 400).await, "'x-1' is not a valid export UUID");
        let wrong_source = post(format!("/{}/{SOURCE_APPLICATION}/y/{verb}", export.id)).await;
        assert_eq!(refusal(wrong_source, 400).await, "'y' is not a valid resource UUID");
    }
    app.end().await;
}

#[tokio::test]
async fn s0_47_an_unknown_export_or_resource_is_404() {
    let (app, export) = one_export().await;
    let source = &export.sources[0].id;
    for verb in ["upload", "error"] {
        for (export, source) in [(NO_SUCH_ID, source.as_str()), (&export.id, NO_SUCH_ID)] {
            let path = format!("/{export}/{SOURCE_APPLICATION}/{source}/{verb}");
            let refused = app.answer(&usual(), Method::POST, &path).body("[]").send().await;
            assert_eq!(refusal(refused, 404).await, format!("record '{NO_SUCH_ID}' not found"));
        }
    }
    app.end().await;
}

#[tokio::test]
async fn s0_47_a_deleted_or_expired_export_is_404() {
    let app = TestApp::start().await;
    let (deleted, expired) = (
        app.create(&Customer::new(), &one_source()).await,
        app.create(&Customer::new(), &one_source()).await,
    );
    app.drain().await;
    expect(app.delete(&deleted).await, 202).await;
    let report = json!({"message": "no", "error": 404});
    refusal(app.upload(&deleted.sources[0], "[]").await, 404).await;
    refusal(app.report(&deleted.sources[0], &report).await, 404).await;
    app.clock.advance(TimeDelta::days(7));
    refusal(app.upload(&expired.sources[0], "[]").await, 404).await;
    refusal(app.report(&expired.sources[0], &report).await, 404).await;
    app.end().await;
}

#[tokio::test]
async fn s0_47c_identical_reupload_is_welcome_and_rewrites_nothing() {
    let (app, export) = one_export().await;
    expect(app.upload(&export.sources[0], "[1, 2, 3]").await, 202).await;
    let key = app.object_keys().await;
    let again = expect(app.upload(&export.sources[0], "[1, 2, 3]").await, 202).await;
    assert_eq!(again.text().await.unwrap(), "payload delivered");
    // The bytes that count are those before compression.
    let upload = posting(&app, &export, "upload").header("content-encoding", "gzip");
    expect(upload.body(gzip(b"[1, 2, 3]")).send().await, 202).await;
    assert_eq!(app.object_keys().await, key);
    app.end().await;
}

#[tokio::test]
async fn s0_47c_an_identical_error_again_is_welcome() {
    let (app, export) = one_export().await;
    for _ in 0..2 {
        expect(app.report(&export.sources[0], &json!({"message": "no", "error": 404})).await, 202).await;
    }
    app.end().await;
}

#[tokio::test]
async fn s0_47c_a_conflicting_answer_is_410_and_changes_nothing() {
    let app = TestApp::start().await;
    let export = app.create(&Customer::new(), &two_sources()).await;
    let [delivered, failed] = &export.sources[..] else { panic!("two sources") };
    expect(app.upload(delivered, "[1]").await, 202).await;
    expect(app.report(failed, &json!({"message": "no", "error": 404})).await, 202).await;
    let before = app.status(&export).await;
    let error = json!({"message": "other", "error": 404});
    for refused in [
        app.upload(delivered, "[2]").await,
        app.upload(delivered, "[1").await,
        app.upload(delivered, "[1]]").await,
        app.upload(failed, "[1]").await,
        app.report(delivered, &error).await,
        app.report(failed, &error).await,
    ] {
        let message = refusal(refused, 410).await;
        assert!(message.contains("this resource has already been processed"), "{message}");
    }
    assert_eq!(app.status(&export).await, before);
    app.end().await;
}

#[tokio::test]
async fn s0_47c_a_client_that_knows_only_400_can_be_given_that() {
    let (app, export) = one_export_with(|settings| {
        settings.internal_api.duplicate_upload_status = DuplicateUploadStatus::BadRequest;
    })
    .await;
    expect(app.upload(&export.sources[0], "[1]").await, 202).await;
    let message = refusal(app.upload(&export.sources[0], "[2]").await, 400).await;
    assert!(message.contains("this resource has already been processed"), "{message}");
    app.end().await;
}

#[tokio::test]
async fn s0_deadline_a_source_that_nobody_answers_fails_with_504_and_later_answers_get_410() {
    let app = TestApp::start().await;
    let export = app.create(&Customer::new(), &two_sources()).await;
    expect(app.upload(&export.sources[0], "[1]").await, 202).await;
    app.clock.advance(TimeDelta::hours(24));
    app.wait_for_count("SELECT count(*) FROM resources WHERE status = 'pending'", 0).await.unwrap();
    let status = app.status(&export).await;
    assert_eq!((&status["status"], &status["sources"][1]["error"]), (&json!("partial"), &json!(504)));
    let late = refusal(app.upload(&export.sources[1], "[1]").await, 410).await;
    assert!(late.contains("this resource has already been processed"), "{late}");
    let report = json!({"message": "no", "error": 404});
    refusal(app.report(&export.sources[1], &report).await, 410).await;
    app.end().await;
}

#[tokio::test]
async fn s0_deadline_can_be_set() {
    let (app, export) = one_export_with(|settings| {
        settings.public_api.answer_within = domain::Period::from_secs(60);
    })
    .await;
    app.clock.advance(TimeDelta::seconds(59));
    app.drain().await;
    assert_eq!(app.status(&export).await["status"], "pending");
    app.clock.advance(TimeDelta::seconds(1));
    app.wait_for_count("SELECT count(*) FROM exports WHERE status = 'failed'", 1).await.unwrap();
    app.end().await;
}

#[tokio::test]
async fn s0_ping_is_answered_under_both_bases_without_a_key() {
    let app = TestApp::start().await;
    for base in ["/app/export/v1", "/internal/export/v1"] {
        let url = format!("{}{base}/ping", app.internal_url);
        expect(app.http().get(url).send().await, 200).await;
    }
    app.end().await;
}

#[tokio::test]
async fn x3_both_bases_serve_both_orders_of_the_path() {
    let app = TestApp::start().await;
    let sources: Vec<Value> = (0..8).map(|_| source("exampleResource")).collect();
    let export = app.create(&Customer::new(), &wanted(&sources)).await;
    let mut sources = export.sources.iter();
    for base in ["/app/export/v1", "/internal/export/v1"] {
        for verb in ["upload", "error"] {
            for verb_first in [true, false] {
                let source = &sources.next().unwrap().path;
                let path = if verb_first { format!("/{verb}{source}") } else { format!("{source}/{verb}") };
                let post = app.http().post(format!("{}{base}{path}", app.internal_url));
                let post = post.header("x-rh-exports-psk", usual().key);
                expect(post.json(&json!({"message": "no", "error": 404})).send().await, 202).await;
            }
        }
    }
    assert_eq!(app.status(&export).await["status"], "partial");
    app.end().await;
}
