//! CSV that is changed for spreadsheets on its way in, where a customer or the registry asks for it.

use domain::{ByteSize, CsvOptions, ResourceName};
use e2e::{
    AppSettings, Customer, Export, SOURCE_APPLICATION, SourceApplication, TestApp, expect, json as body_of,
    refusal, sha256_hex,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{source, wanted, with};

/// As an application delivers it, and as a spreadsheet may have it.
const DELIVERED: &str = "name,sum\r\n=HYPERLINK(\"http://x\"),-1.5\r\n\"@a, b\",+49 30\r\nplain,=1+1";
const GUARDED: &str = "name,sum\r\n'=HYPERLINK(\"http://x\"),-1.5\r\n\"'@a, b\",'+49 30\r\nplain,'=1+1";

/// A request for one source of this format, with these options.
fn asking(format: &str, csv: Option<Value>) -> Value {
    let source = with(source("exampleResource"), "", "csv", csv);
    with(wanted(&[source]), "", "format", Some(json!(format)))
}

fn both() -> Value {
    json!({"formula_guard": true, "bom": true})
}

/// The registry guards the CSV of the usual resource.
fn guarded_by_registry(settings: &mut AppSettings) {
    let name = ResourceName::parse("exampleResource").unwrap();
    let resources = &mut settings.application(SOURCE_APPLICATION).resources;
    resources.get_mut(&name).unwrap().csv = Some(CsvOptions { formula_guard: true, bom: false });
}

async fn completed(app: &TestApp, wanted: &Value, delivered: &str) -> Export {
    app.complete(&Customer::new(), wanted, |_| delivered.to_owned()).await
}

/// The file of the only source, and what `meta.json` says of it.
async fn served(app: &TestApp, export: &Export) -> (String, Value) {
    let archive = app.download(export).await;
    let name = format!("{}.{}", export.sources[0].id, export.body["format"].as_str().unwrap());
    (archive.text(&name), archive.meta()["file_meta"][0].clone())
}

#[tokio::test]
async fn s0_18_csv_in_utf_16_is_refused_where_it_is_to_be_guarded_and_its_source_stays_open() {
    let app = TestApp::start().await;
    let utf_16: Vec<u8> = "\u{feff}a\n=1\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let export = app.create(&Customer::new(), &asking("csv", Some(json!({"formula_guard": true})))).await;
    let refused = refusal(app.upload(&export.sources[0], utf_16.clone()).await, 400).await;
    assert!(refused.ends_with("must be in UTF-8, not UTF-16"), "{refused}");
    assert_eq!(app.status(&export).await["status"], "pending");
    expect(app.upload(&export.sources[0], DELIVERED).await, 202).await;
    // Whoever asks for nothing has the bytes as they are.
    let plain = app.create(&Customer::new(), &asking("csv", None)).await;
    expect(app.upload(&plain.sources[0], utf_16).await, 202).await;
    app.end().await;
}

#[tokio::test]
async fn s0_33_csv_is_served_as_it_was_delivered_unless_asked_otherwise() {
    let app = TestApp::start().await;
    for csv in [None, Some(json!(null)), Some(json!({})), Some(json!({"bom": false}))] {
        let export = completed(&app, &asking("csv", csv), DELIVERED).await;
        let (file, meta) = served(&app, &export).await;
        assert_eq!((file.as_str(), &meta["sha256"]), (DELIVERED, &json!(sha256_hex(DELIVERED))));
        assert!(meta.get("csv").is_none() && meta.get("uploaded_sha256").is_none(), "{meta}");
    }
    app.end().await;
}

#[tokio::test]
async fn s0_33_formulas_are_made_harmless_and_the_manifest_says_so() {
    let app = TestApp::start().await;
    let with_bom = format!("\u{feff}{GUARDED}");
    let bom_only = format!("\u{feff}{DELIVERED}");
    for (guard, bom, expected) in
        [(true, true, &with_bom), (false, true, &bom_only), (true, false, &GUARDED.into())]
    {
        let csv = json!({"formula_guard": guard, "bom": bom});
        let export = completed(&app, &asking("csv", Some(csv.clone())), DELIVERED).await;
        let (file, meta) = served(&app, &export).await;
        assert_eq!(&file, expected);
        assert_eq!(meta["csv"], csv);
        assert_eq!(meta["size_bytes"], expected.len());
        assert_eq!(
            (&meta["sha256"], &meta["uploaded_sha256"]),
            (&json!(sha256_hex(expected)), &json!(sha256_hex(DELIVERED)))
        );
        assert!(app.download(&export).await.text("README.md").contains("- **Changed for spreadsheets**: "));
    }
    app.end().await;
}

#[tokio::test]
async fn s0_47c_a_repeated_upload_is_compared_with_what_was_uploaded() {
    let app = TestApp::start().await;
    let export = completed(&app, &asking("csv", Some(both())), DELIVERED).await;
    let source = &export.sources[0];
    let before = served(&app, &export).await;
    expect(app.upload(source, DELIVERED).await, 202).await;
    for other in [format!("\u{feff}{GUARDED}"), GUARDED.into(), format!("{DELIVERED}\n"), String::new()] {
        let refused = refusal(app.upload(source, other).await, 410).await;
        assert_eq!(refused, "this resource has already been processed");
    }
    assert_eq!(served(&app, &export).await, before);
    app.end().await;
}

#[tokio::test]
async fn s0_18_csv_that_arrives_in_pieces_or_as_gzip_is_changed_all_the_same() {
    let app = TestApp::start().await;
    let rows =
        |mark: &str| (0..200_000).map(|n| format!("{n},{mark}={n},-{n}\n")).collect::<Vec<_>>().concat();
    let (delivered, expected) = (rows(""), rows("'"));
    let customer = Customer::new();
    for is_gzip in [false, true] {
        let export = app.create(&customer, &asking("csv", Some(json!({"formula_guard": true})))).await;
        let path = format!("{}/upload", export.sources[0].path);
        let upload = app.answer(&SourceApplication::named(SOURCE_APPLICATION), Method::POST, &path);
        let upload = if is_gzip {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            std::io::Write::write_all(&mut encoder, delivered.as_bytes()).unwrap();
            upload.header("content-encoding", "gzip").body(encoder.finish().unwrap())
        } else {
            upload.body(delivered.clone())
        };
        expect(upload.send().await, 202).await;
        let (file, meta) = served(&app, &export).await;
        assert!(file == expected, "it has {} bytes instead of {}", file.len(), expected.len());
        assert_eq!(meta["uploaded_sha256"], sha256_hex(&delivered));
    }
    app.end().await;
}

#[tokio::test]
async fn s0_48_the_limit_counts_what_is_uploaded() {
    let app = TestApp::with(|settings| settings.internal_api.max_upload_bytes = ByteSize::from_kib(1)).await;
    let (fits, too_large) = ("=\n".repeat(512), "=\n".repeat(513));
    let export = completed(&app, &asking("csv", Some(both())), &fits).await;
    assert_eq!(served(&app, &export).await.0, format!("\u{feff}{}", "'=\n".repeat(512)));
    let export = app.create(&Customer::new(), &asking("csv", Some(both()))).await;
    let refused = refusal(app.upload(&export.sources[0], too_large).await, 413).await;
    assert_eq!(refused, "payload is too large, max size: 1KB");
    assert_eq!(app.status(&export).await["sources"][0]["error"], 413);
    app.end().await;
}

#[tokio::test]
async fn s0_42_csv_options_that_cannot_be_met_are_refused() {
    let app = TestApp::start().await;
    for (format, csv, reason) in [
        ("csv", json!({"formulaguard": true}), "invalid csv: must be an object with"),
        ("csv", json!({"bom": "yes"}), "invalid csv: must be an object with"),
        ("csv", json!(true), "invalid csv: must be an object with"),
        ("json", json!({"formula_guard": true}), "invalid csv: the format of the export is not csv"),
    ] {
        let answer = app.try_create(&Customer::new(), &asking(format, Some(csv))).await;
        assert!(refusal(answer, 400).await.starts_with(reason));
    }
    app.end().await;
}

#[tokio::test]
async fn what_the_registry_asks_for_counts_unless_the_request_says_otherwise() {
    let app = TestApp::with(guarded_by_registry).await;
    for (csv, expected) in [
        (None, GUARDED.to_owned()),
        (Some(json!({"bom": true})), format!("\u{feff}{GUARDED}")),
        (Some(json!({"formula_guard": false})), DELIVERED.to_owned()),
    ] {
        let export = completed(&app, &asking("csv", csv), DELIVERED).await;
        assert_eq!(served(&app, &export).await.0, expected);
    }
    let export = completed(&app, &asking("json", None), "[\"=1\"]").await;
    let (file, meta) = served(&app, &export).await;
    assert_eq!((file.as_str(), meta.get("csv")), ("[\"=1\"]", None));
    // It is between the customer and us: applications are not told.
    let created = body_of(app.try_create(&Customer::new(), &asking("csv", Some(both()))).await, 202).await;
    assert!(created["sources"][0].get("csv").is_none());
    app.end().await;
}
