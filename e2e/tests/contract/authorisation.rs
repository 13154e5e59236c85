//! Who may answer for a source (S0-17, S0-47b).

use domain::KeyHash;
use e2e::{
    Customer, OTHER_APPLICATION, SILENT_APPLICATION, SOURCE_APPLICATION, SourceApplication, TestApp, expect,
    refusal,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{one_export, one_source, other_source, usual, wanted};

#[tokio::test]
async fn s0_17_a_call_without_a_key_or_with_two_is_told_that_it_is_missing() {
    let (app, export) = one_export().await;
    for verb in ["upload", "error"] {
        let path = format!("{}/{verb}", export.sources[0].path);
        let none = app.answer_unidentified(Method::POST, &path).send().await;
        assert_eq!(refusal(none, 400).await, "missing x-rh-exports-psk header");
        let key = usual().key;
        let twice = app.answer(&usual(), Method::POST, &path).header("x-rh-exports-psk", &key).send().await;
        assert_eq!(refusal(twice, 400).await, "missing x-rh-exports-psk header");
    }
    app.end().await;
}

#[tokio::test]
async fn s0_17_a_wrong_key_is_401_and_leaves_the_source_open() {
    let (app, export) = one_export().await;
    for verb in ["upload", "error"] {
        let path = format!("{}/{verb}", export.sources[0].path);
        for key in ["wrong", "", "key-of-exampleApplicatio", "KEY-OF-EXAMPLEAPPLICATION"] {
            let wrong = app.answer(&usual().with_key(key), Method::POST, &path).send().await;
            assert_eq!(refusal(wrong, 401).await, "invalid x-rh-exports-psk header");
        }
    }
    assert_eq!(app.status(&export).await["status"], "pending");
    app.end().await;
}

#[tokio::test]
async fn s0_17_both_keys_of_an_application_are_live_while_one_replaces_the_other() {
    let app = TestApp::with(|settings| {
        let application = settings.application(SOURCE_APPLICATION);
        application.keys_sha256.push(KeyHash::of(b"successor"));
    })
    .await;
    let export = app.create(&Customer::new(), &wanted(&[one(), one()])).await;
    for (source, application) in export.sources.iter().zip([usual(), usual().with_key("successor")]) {
        let path = format!("{}/upload", source.path);
        expect(app.answer(&application, Method::POST, &path).body("[]").send().await, 202).await;
    }
    assert_eq!(app.status(&export).await["status"], "complete");
    app.end().await;
}

fn one() -> Value {
    one_source()["sources"][0].clone()
}

#[tokio::test]
async fn s0_17_an_application_without_a_key_is_refused_with_every_key() {
    let app = TestApp::start().await;
    let silent = json!({"application": SILENT_APPLICATION, "resource": "silentResource"});
    let export = app.create(&Customer::new(), &wanted(&[silent])).await;
    for key in ["", "wrong", &usual().key] {
        for verb in ["upload", "error"] {
            let path = format!("{}/{verb}", export.sources[0].path);
            refusal(app.answer(&usual().with_key(key), Method::POST, &path).send().await, 403).await;
        }
    }
    app.end().await;
}

#[tokio::test]
async fn s0_17_without_any_key_the_service_is_not_ready_and_refuses_every_call() {
    let app = TestApp::with(|settings| {
        settings.applications.values_mut().for_each(|application| application.keys_sha256.clear());
    })
    .await;
    let readiness = app.context.health().readiness().await;
    let reasons: Vec<_> = readiness.checks.values().filter_map(|check| check.reason.as_deref()).collect();
    assert_eq!(reasons, ["no application has a key"]);
    let export = app.create(&Customer::new(), &wanted(&[one()])).await;
    let path = format!("{}/upload", export.sources[0].path);
    refusal(app.answer(&usual(), Method::POST, &path).body("[]").send().await, 403).await;
    app.end().await;
}

#[tokio::test]
async fn s0_47b_an_application_can_never_answer_for_another() {
    let (app, export) = one_export().await;
    let (source, other) = (&export.sources[0], SourceApplication::named(OTHER_APPLICATION));
    // Another's key for the source's own path, and one's own key and path for another's source.
    let own_path = format!("/{}/{OTHER_APPLICATION}/{}", export.id, source.id);
    for path in [&source.path, &own_path] {
        for verb in ["upload", "error"] {
            let answer = app.answer(&other, Method::POST, &format!("{path}/{verb}"));
            refusal(answer.json(&json!({"message": "no", "error": 404})).send().await, 403).await;
        }
    }
    assert_eq!(app.status(&export).await["sources"][0]["status"], "pending");
    app.end().await;
}

#[tokio::test]
async fn s0_47b_the_application_of_a_path_may_be_encoded_once_or_twice() {
    let app = TestApp::start().await;
    let export =
        app.create(&Customer::new(), &wanted(&[other_source(), other_source(), other_source()])).await;
    let application = SourceApplication::named(OTHER_APPLICATION);
    let encodings = [
        "urn:redhat:application:other",
        "urn%3Aredhat%3aapplication%3Aother",
        "urn%253Aredhat%253aapplication%253Aother",
    ];
    for (source, encoded) in export.sources.iter().zip(encodings) {
        let path = format!("/{}/{encoded}/{}/upload", export.id, source.id);
        expect(app.answer(&application, Method::POST, &path).body("[]").send().await, 202).await;
    }
    assert_eq!(app.status(&export).await["status"], "complete");
    app.end().await;
}
