//! CSV that is changed for spreadsheets on its way in, in requests that are cut anywhere.

use e2e::{Customer, Export, TestApp, expect, refusal, sha256_hex};
use reqwest::Method;
use serde_json::json;

use super::{Upload, creation, text};
use crate::support::{one_source, piecewise, source_status};

/// An export whose one source is CSV that is to be changed for spreadsheets.
async fn one_changed_csv() -> (TestApp, Export) {
    let app = TestApp::start().await;
    let mut wanted = one_source();
    wanted["format"] = json!("csv");
    wanted["sources"][0]["csv"] = json!({"formula_guard": true, "bom": true});
    let export = app.create(&Customer::new(), &wanted).await;
    (app, export)
}

#[tokio::test]
async fn s0_tus_csv_is_changed_for_spreadsheets_wherever_it_is_cut() {
    let (app, export) = one_changed_csv().await;
    let (data, stored) = ("a,\"=b\"\r\n-1,-x\r\n+1", "\u{feff}a,\"'=b\"\r\n-1,'-x\r\n+1");
    let created = creation(&app, &export).header("upload-defer-length", 1).send().await;
    let upload = Upload::at(&app, &expect(created, 201).await);
    // More pieces than are left as they are, one of them broken off.
    for offset in 0..data.len() {
        if offset == 3 {
            upload.break_off(3, 100, &data.as_bytes()[3..4]).await;
            upload.reaches(4).await;
            continue;
        }
        let answer = expect(upload.patch(offset, data[offset..=offset].to_owned()).send().await, 204).await;
        assert_eq!(text(answer.headers(), "upload-offset"), Some((offset + 1).to_string()));
    }
    assert_eq!(source_status(&app, &export).await["received_bytes"], data.len());
    expect(upload.patch(data.len(), "").header("upload-length", data.len()).send().await, 204).await;
    let archive = app.download(&export).await;
    assert_eq!(archive.text(&format!("{}.csv", export.sources[0].id)), stored);
    let file = &archive.meta()["file_meta"][0];
    assert_eq!((&file["size_bytes"], &file["sha256"]), (&json!(stored.len()), &json!(sha256_hex(stored))));
    assert_eq!(file["uploaded_sha256"], sha256_hex(data));
    expect(app.upload(&export.sources[0], data).await, 202).await;
    expect(app.upload(&export.sources[0], stored).await, 410).await;
    app.end().await;
}

#[tokio::test]
async fn s0_tus_the_length_of_changed_csv_is_that_of_what_is_sent() {
    let (app, export) = one_changed_csv().await;
    let upload = Upload::begin(&app, &export, 4).await;
    expect(upload.patch(0, "=1\n").send().await, 204).await;
    refusal(upload.patch(3, "=1").send().await, 400).await;
    expect(upload.patch(3, "=").send().await, 204).await;
    let archive = app.download(&export).await;
    assert_eq!(archive.text(&format!("{}.csv", export.sources[0].id)), "\u{feff}'=1\n'=");
    app.end().await;
}

#[tokio::test]
async fn s0_tus_csv_that_is_in_utf_16_is_refused_wherever_its_mark_is_cut_and_its_source_stays_open() {
    let (app, export) = one_changed_csv().await;
    let upload = Upload::begin(&app, &export, 6).await;
    expect(upload.patch(0, vec![0xff]).send().await, 204).await;
    let refused = refusal(upload.patch(1, b"\xfe=\0".to_vec()).send().await, 400).await;
    assert!(refused.ends_with("must be in UTF-8, not UTF-16"), "{refused}");
    assert_eq!(upload.offset().await, 1);
    expect(upload.request(Method::DELETE).send().await, 204).await;
    expect(app.upload(&export.sources[0], "=1\n").await, 202).await;
    app.end().await;
}

#[tokio::test]
async fn s0_tus_a_cell_of_changed_csv_may_be_cut_by_a_silence() {
    let (app, export) = one_changed_csv().await;
    let upload = Upload::begin(&app, &export, 6).await;
    let (chunks, body) = piecewise();
    let slow = tokio::spawn(upload.patch(0, body).send());
    // What is known of the first cell is nothing yet.
    chunks.send(b"-".to_vec()).await.unwrap();
    upload.reaches(1).await;
    chunks.send(b"x,-1\n".to_vec()).await.unwrap();
    drop(chunks);
    expect(slow.await.unwrap(), 204).await;
    let archive = app.download(&export).await;
    assert_eq!(archive.text(&format!("{}.csv", export.sources[0].id)), "\u{feff}'-x,-1\n");
    app.end().await;
}
