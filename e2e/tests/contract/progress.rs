//! How far a delivery has come, as its customer sees it (S0-status).

use std::time::{Duration, Instant};

use domain::Period;
use e2e::{Export, PATIENCE, TestApp, expect};
use serde_json::{Value, json};
use testkit::poll_until;

use crate::{
    support::{one_export, one_export_with, piecewise, posting, source_status},
    uploads::gzip,
};

async fn wait_for_received(app: &TestApp, export: &Export, expected: &Value) {
    let waited = poll_until(PATIENCE, async || {
        let received = source_status(app, export).await.get("received_bytes").cloned();
        Ok((received.as_ref() == Some(expected)).then_some(()))
    });
    waited.await.unwrap_or_else(|_| panic!("{expected} bytes are never told"));
}

#[tokio::test]
async fn s0_status_tells_how_many_bytes_have_come_while_a_source_is_delivered() {
    let (app, export) = one_export().await;
    assert_eq!(source_status(&app, &export).await.get("received_bytes"), None);
    let (chunks, body) = piecewise();
    let uploading = tokio::spawn(posting(&app, &export, "upload").body(body).send());
    let mut sent = 0;
    for size in [10, 3 << 20, 1] {
        chunks.send(vec![b' '; size]).await.unwrap();
        sent += size;
        wait_for_received(&app, &export, &json!(sent)).await;
    }
    assert_eq!(app.status(&export).await["status"], "pending");
    drop(chunks);
    expect(uploading.await.unwrap(), 202).await;
    let source = source_status(&app, &export).await;
    assert_eq!((&source["status"], source.get("received_bytes")), (&json!("complete"), None));
    app.end().await;
}

#[tokio::test]
async fn s0_status_tells_nothing_any_more_of_a_delivery_that_broke_off() {
    let (app, export) = one_export().await;
    let (chunks, body) = piecewise();
    let uploading = tokio::spawn(posting(&app, &export, "upload").body(body).send());
    chunks.send(vec![b' '; 1000]).await.unwrap();
    wait_for_received(&app, &export, &json!(1000)).await;
    uploading.abort();
    drop(chunks);
    let _ = uploading.await;
    app.wait_for_no("upload_attempts").await.unwrap();
    assert_eq!(source_status(&app, &export).await.get("received_bytes"), None);
    app.end().await;
}

#[tokio::test]
async fn s0_status_counts_bytes_before_compression() {
    let (app, export) = one_export().await;
    let packed = gzip(&vec![b' '; 5 << 20]);
    let (chunks, body) = piecewise();
    let upload = posting(&app, &export, "upload").header("content-encoding", "gzip").body(body);
    let uploading = tokio::spawn(upload.send());
    let (first, rest) = packed.split_at(packed.len() - 1);
    chunks.send(first.to_vec()).await.unwrap();
    // The last of them may wait for the end of the stream.
    let most = poll_until(PATIENCE, async || {
        let received = source_status(&app, &export).await["received_bytes"].as_u64();
        Ok((received >= Some(4 << 20)).then_some(()))
    });
    most.await.unwrap();
    chunks.send(rest.to_vec()).await.unwrap();
    drop(chunks);
    expect(uploading.await.unwrap(), 202).await;
    app.end().await;
}

#[tokio::test]
async fn s0_status_noting_how_far_it_has_come_never_costs_an_upload() {
    let (app, export) = one_export().await;
    let (chunks, body) = piecewise();
    let uploading = tokio::spawn(posting(&app, &export, "upload").body(body).send());
    chunks.send(b"[1,".to_vec()).await.unwrap();
    app.wait_for_count("SELECT count(*) FROM upload_attempts", 1).await.unwrap();
    // Somebody holds the row of the attempt: the note waits, until the database refuses it.
    let client = app.database.connect().await.unwrap();
    client.batch_execute("BEGIN; SELECT FROM upload_attempts FOR UPDATE").await.unwrap();
    for _ in 0..5 {
        chunks.send(b"2,".to_vec()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    client.batch_execute("COMMIT").await.unwrap();
    chunks.send(b"3]".to_vec()).await.unwrap();
    drop(chunks);
    expect(uploading.await.unwrap(), 202).await;
    let archive = app.download(&export).await;
    assert_eq!(archive.text(&format!("{}.json", export.sources[0].id)), "[1,2,2,2,2,2,3]");
    app.end().await;
}

#[tokio::test]
async fn s0_status_the_row_of_an_upload_is_written_once_a_second_at_most() {
    let (app, export) = one_export_with(|settings| {
        // Renewed every second.
        settings.internal_api.upload_lease = Period::from_secs(3);
    })
    .await;
    let (chunks, body) = piecewise();
    let started = Instant::now();
    let uploading = tokio::spawn(posting(&app, &export, "upload").body(body).send());
    while started.elapsed() < Duration::from_secs(5) {
        chunks.send(b" ".to_vec()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let client = app.database.connect().await.unwrap();
    let written = "SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'upload_attempts'";
    let told = poll_until(PATIENCE, async || {
        let updates: i64 = client.query_one(written, &[]).await?.get(0);
        Ok((updates >= 3).then_some(updates))
    });
    let (updates, seconds) = (told.await.unwrap(), started.elapsed().as_secs());
    assert!(u64::try_from(updates).unwrap() <= seconds, "{updates} in {seconds} seconds");
    drop(chunks);
    expect(uploading.await.unwrap(), 202).await;
    app.end().await;
}
