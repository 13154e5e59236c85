//! Values that are well-formed and absurd.

use e2e::{Customer, SOURCE_APPLICATION, TestApp, expect, refusal};
use serde_json::{Value, json};

use crate::support::{Target, answer, answered, refused, shaped};

/// A source with these keys besides its application and resource.
fn source(more: &Value) -> Value {
    let mut source = json!({"application": SOURCE_APPLICATION, "resource": "exampleResource"});
    source.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    source
}

/// A create request with these keys set.
fn wanted(more: &Value) -> Value {
    let mut wanted = json!({"name": "N", "format": "json", "sources": [source(&json!({}))]});
    wanted.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    wanted
}

#[tokio::test]
async fn absurd_times_are_refused() {
    let target = Target::start().await;
    let times = [
        json!("tomorrow"),
        json!("2026-02-30T00:00:00Z"),
        json!("2026-11-21"),
        json!("2026-11-21T24:00:00Z"),
        json!("10000-01-01T00:00:00Z"),
        json!("+292277026596-12-04T15:30:08Z"),
        json!("-0001-01-01T00:00:00Z"),
        json!("2026-11-21T00:00:00+99:99"),
        json!("9999-12-31T23:59:59-23:59"),
        json!("0000-01-01T00:00:00+23:59"),
        json!("0000-00-00T00:00:00Z"),
        json!("\u{0}"),
        json!("9".repeat(10_000)),
        json!(1_795_000_000),
        json!(-1),
        json!(1e300),
        json!({}),
        json!([1]),
        json!(true),
    ];
    for time in times {
        let of_source = json!({"sources": [source(&json!({"expires": time}))]});
        for body in [wanted(&json!({"expires_at": time})), wanted(&of_source)] {
            refused(target.public(), &target.create().sized(body.to_string()), 400).await;
        }
    }
    target.unharmed().await;
}

#[tokio::test]
async fn absurd_dates_of_a_listing_are_refused() {
    let target = Target::start().await;
    let dates = [
        "-262143-01-01",
        "%2B262142-12-31",
        "-9999-01-01",
        "%2B294277-01-01",
        "-4714-01-01",
        "0",
        "2026-11",
        "2026-11-21T00:00:00",
        "%00",
        "%ff",
        "2026-11-21T00:00:00Z;DROP",
        "9999999999",
    ];
    for date in dates {
        for key in ["created_at", "expires_at"] {
            refused(target.public(), &target.ask("GET", &format!("/exports?{key}={date}")), 400).await;
        }
    }
    target.unharmed().await;
}

#[tokio::test]
async fn times_at_the_edges_of_the_calendar_are_taken() {
    let app = TestApp::start().await;
    let customer = Customer::new();
    let times = [
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59.999999999Z",
        "2026-12-31T23:59:60Z",
    ];
    for time in times {
        let export = app.create(&customer, &wanted(&json!({"expires_at": time}))).await;
        assert_eq!(app.status(&export).await["expires_at"], export.body["expires_at"], "{time}");
    }
    let queries = ["created_at=9999-12-31", "expires_at=9999-12-31T23:59:59Z", "expires_at=0000-01-01"];
    for query in queries {
        app.list(&customer, &format!("?{query}")).await;
    }
    assert_eq!(app.list(&customer, "?sort=expires_at&dir=desc").await["meta"]["count"], times.len());
    app.end().await;
}

#[tokio::test]
async fn absurd_pages_are_refused() {
    let target = Target::start().await;
    let queries = [
        "limit=18446744073709551616",
        "limit=-0.0",
        "limit=1e3",
        "limit=%20",
        "limit=0x10",
        "offset=9223372036854775808",
        "offset=%2D1",
        "offset=1&limit=zz",
        "sort=%00",
        "dir=%FF",
        "name=%00",
        "status=%00",
        "application=a%00b",
        "resource=%00",
    ];
    for query in queries {
        refused(target.public(), &target.ask("GET", &format!("/exports?{query}")), 400).await;
    }
    target.unharmed().await;
}

#[tokio::test]
async fn strange_queries_that_mean_something_are_answered() {
    let target = Target::start().await;
    let queries = [
        "offset=9223372036854775807&limit=1000",
        "name=%ff%fe",
        "name=%zz",
        "name=%",
        "&&&==&",
        "%00=1",
        "name='%3B--",
        "limit=1&limit=x",
    ];
    for query in queries {
        let answer = answered(target.public(), &target.ask("GET", &format!("/exports?{query}"))).await;
        assert_eq!(answer.status, 200, "{query}: {}", String::from_utf8_lossy(&answer.body));
        assert!(answer.json()["links"]["first"].as_str().unwrap().is_ascii());
    }
    target.unharmed().await;
}

#[tokio::test]
async fn ids_that_are_none_are_refused_and_not_repeated_whole() {
    let target = Target::start().await;
    let (uuid, long) = (&target.export.id, "x".repeat(10_000));
    let hyphenless = uuid.replace('-', "");
    let (behind, before, brace) = (format!("{uuid}x"), format!("%20{uuid}"), format!("%7B{uuid}"));
    let with_nul = format!("{uuid}%00");
    let ids = [
        "%00",
        "%ff",
        "%",
        "%zz",
        "%2f..%2f..",
        "..%5c",
        "a%0d%0ax:y",
        "0",
        "null",
        "%E2%80%AE",
        &long,
        &behind,
        &before,
        &brace,
        &with_nul,
        &hyphenless[1..],
    ];
    for id in ids {
        let told = refused(target.public(), &target.ask("GET", &format!("/exports/{id}/status")), 400).await;
        assert!(told.len() < 300 && !told.contains(['\r', '\n', '\0']), "{told}");
        for path in
            [format!("/{id}/{SOURCE_APPLICATION}/{uuid}"), format!("/{uuid}/{SOURCE_APPLICATION}/{id}")]
        {
            let upload = answer("POST", &format!("{path}/upload")).sized("[]");
            refused(target.internal(), &upload, 400).await;
        }
    }
    target.unharmed().await;
}

#[tokio::test]
async fn applications_that_are_none_are_refused() {
    let target = Target::start().await;
    let (export, source) = (&target.export.id, &target.export.sources[0].id);
    let (layers, long) = (format!("%{}41", "25".repeat(50)), "x".repeat(1000));
    let rows = [
        ("%00", 400),
        ("%ff", 403),
        ("%25ff", 400),
        ("%2525252500", 400),
        ("%20", 403),
        (&long, 400),
        ("%", 403),
        ("exampleApplication%2F", 403),
        ("EXAMPLEAPPLICATION", 403),
        (&layers, 400),
        ("..", 403),
    ];
    for (application, status) in rows {
        let upload = answer("POST", &format!("/{export}/{application}/{source}/upload")).sized("[]");
        let answer = answered(target.internal(), &upload).await;
        assert_eq!(answer.status, status, "{application}");
        shaped(&answer, status);
    }
    target.unharmed().await;
}

#[tokio::test]
async fn reports_with_absurd_codes_are_refused() {
    let target = Target::start().await;
    let reports = [
        r#"{"message": "a", "error": 9223372036854775808}"#,
        r#"{"message": "a", "error": 1e400}"#,
        r#"{"message": "a", "error": 0.0}"#,
        r#"{"message": "a", "error": "1"}"#,
        r#"{"message": "a", "error": [1]}"#,
        r#"{"message": {"a": 1}, "error": 1}"#,
    ];
    for report in reports {
        refused(target.internal(), &target.report().sized(report), 400).await;
    }
    target.unharmed().await;
}

#[tokio::test]
async fn nul_and_control_characters_from_applications_and_in_filters_do_no_harm() {
    let app = TestApp::start().await;
    let filters =
        json!({"a\u{0}b": "\u{0}\u{1}\u{7f}\u{202e}<script>`|", "": [[], {}], "n": 1.5e300, "m": -0.0});
    let source = source(&json!({ "filters": filters }));
    let export = app.create(&Customer::new(), &wanted(&json!({"sources": [source, source]}))).await;
    assert_eq!(app.records(2).await.len(), 2);
    let message = "no\u{0} `such`\r\n# resource \u{202e}|";
    let report = json!({"message": message, "error": i64::MIN});
    expect(app.report(&export.sources[0], &report).await, 202).await;
    expect(app.report(&export.sources[0], &report).await, 202).await;
    expect(app.upload(&export.sources[1], "\0\0").await, 202).await;
    let status = app.status(&export).await;
    assert_eq!(status["sources"][1]["filters"], filters);
    assert!(status["sources"][0]["message"].as_str().unwrap().contains("`such`"), "{status}");
    let archive = app.download(&export).await;
    assert_eq!(archive.meta()["file_meta"][0]["filters"], filters);
    assert!(!archive.text("README.md").contains('\0'));
    assert_eq!(app.list(&export.customer, "").await["meta"]["count"], 1);
    app.end().await;
}

#[tokio::test]
async fn filters_as_deep_as_they_are_accepted_go_all_the_way() {
    let app = TestApp::start().await;
    let filters = (0..120).fold(json!({}), |inner, _| json!({ "a": inner }));
    let wanted = wanted(&json!({"sources": [source(&json!({ "filters": filters }))]}));
    let export = app.complete(&Customer::new(), &wanted, |_| "[]".into()).await;
    assert_eq!(app.records(1).await.len(), 1);
    assert_eq!(app.status(&export).await["sources"][0]["filters"], filters);
    assert_eq!(app.download(&export).await.meta()["file_meta"][0]["filters"], filters);
    app.end().await;
}

#[tokio::test]
async fn one_source_too_large_for_the_topic_refuses_all_of_them() {
    let app =
        TestApp::with(|settings| settings.public_api.max_body_size = domain::ByteSize::from_mib(4)).await;
    let large = source(&json!({"filters": {"a": "x".repeat(1_000_000)}}));
    let mixed = wanted(&json!({"sources": [source(&json!({})), large]}));
    refusal(app.try_create(&Customer::new(), &mixed).await, 413).await;
    assert_eq!(app.count("SELECT count(*) FROM exports").await, 0);
    app.end().await;
}
