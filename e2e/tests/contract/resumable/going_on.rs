//! What has arrived counts, and the last byte settles the source (S0-tus).

use std::time::Duration;

use chrono::TimeDelta;
use domain::ByteSize;
use e2e::{Customer, TestApp, expect, raw};
use reqwest::Method;
use testkit::poll_until;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use super::{Upload, asked, creation, delivered, rows, text};
use crate::support::{one_export, one_export_with, piecewise, source, source_status, usual, wanted};

#[tokio::test]
async fn s0_tus_an_upload_in_several_requests_settles_its_source_with_the_last() {
    let (app, export) = one_export().await;
    let data = rows(3_000_000);
    let upload = Upload::begin(&app, &export, data.len()).await;
    for (from, to) in [(0, 1), (1, 1_500_000), (1_500_000, 2_999_999)] {
        let answer = expect(upload.patch(from, data[from..to].to_vec()).send().await, 204).await;
        assert_eq!(text(answer.headers(), "upload-offset"), Some(to.to_string()));
        assert_eq!(text(answer.headers(), "tus-resumable").as_deref(), Some("1.0.0"));
        assert_eq!(upload.offset().await, to as u64);
        assert_eq!(source_status(&app, &export).await["status"], "pending");
    }
    expect(upload.patch(2_999_999, data[2_999_999..].to_vec()).send().await, 204).await;
    assert_eq!(source_status(&app, &export).await["status"], "complete");
    assert_eq!(upload.offset().await, 3_000_000);
    assert!(delivered(&app.download(&export).await, &export).as_bytes() == data);
    // The same bytes once more, at once.
    expect(app.upload(&export.sources[0], data).await, 202).await;
    // Four pieces.
    assert_eq!(app.object_keys().await.len(), 4);
    expect(app.delete(&export).await, 202).await;
    app.clock.advance(TimeDelta::days(1));
    app.wait_for_no("exports").await.unwrap();
    app.wait_for_no("object_deletions").await.unwrap();
    assert!(app.object_keys().await.is_empty());
    app.end().await;
}

#[tokio::test]
async fn s0_tus_what_arrived_before_a_connection_broke_counts() {
    let (app, export) = one_export().await;
    let data = rows(500_000);
    let upload = Upload::begin(&app, &export, data.len()).await;
    upload.break_off(0, data.len(), &data[..123_456]).await;
    upload.reaches(123_456).await;
    expect(upload.patch(123_456, data[123_456..].to_vec()).send().await, 204).await;
    assert!(delivered(&app.download(&export).await, &export).as_bytes() == data);
    app.end().await;
}

#[tokio::test]
async fn s0_tus_what_arrived_before_a_client_fell_silent_counts() {
    let (app, export) = one_export_with(|settings| {
        settings.internal_api.http.body.idle_timeout = domain::Period::from_millis(300);
    })
    .await;
    let upload = Upload::begin(&app, &export, 10).await;
    let head = format!(
        "PATCH {} HTTP/1.1\r\nhost: x\r\nx-rh-exports-psk: {}\r\ntus-resumable: 1.0.0\r\nupload-offset: 0\r\n\
         content-type: application/offset+octet-stream\r\ncontent-length: 10\r\n\r\n[1,",
        upload.location,
        usual().key
    );
    let address = app.settings.internal_api.listen;
    let answer = raw::exchange(address, head.as_bytes()).await.unwrap().unwrap();
    assert_eq!((answer.status, &answer.json()["code"]), (408, &408.into()));
    assert_eq!(upload.offset().await, 3);
    expect(upload.patch(3, "23456]\n").send().await, 204).await;
    assert_eq!(source_status(&app, &export).await["status"], "complete");
    app.end().await;
}

#[tokio::test]
async fn s0_tus_an_upload_goes_on_at_another_replica() {
    let (app, export) = one_export().await;
    let replicas = [app.internal_url.clone(), app.second_internal_api().await];
    let data = rows(100_000);
    let upload = Upload::begin(&app, &export, data.len()).await;
    for turn in 0..10 {
        let (from, to) = (turn * 10_000, (turn + 1) * 10_000);
        let patch = asked(&app, &replicas[turn % 2], Method::PATCH, &upload.location)
            .header("upload-offset", from)
            .header("content-type", "application/offset+octet-stream");
        expect(patch.body(data[from..to].to_vec()).send().await, 204).await;
    }
    assert!(delivered(&app.download(&export).await, &export).as_bytes() == data);
    app.end().await;
}

#[tokio::test]
async fn s0_tus_a_long_request_counts_piece_by_piece() {
    let (app, export) = one_export_with(|settings| {
        settings.internal_api.resumable_upload_piece = ByteSize::from_mib(1);
    })
    .await;
    let data = rows(5 << 20);
    let upload = Upload::begin(&app, &export, data.len()).await;
    let mut stream = TcpStream::connect(app.settings.internal_api.listen).await.unwrap();
    let head = format!(
        "PATCH {} HTTP/1.1\r\nhost: x\r\nx-rh-exports-psk: {}\r\ntus-resumable: 1.0.0\r\nupload-offset: 0\r\n\
         content-type: application/offset+octet-stream\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        upload.location,
        usual().key,
        data.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&data[..(3 << 20) + 5]).await.unwrap();
    // It is still under way.
    upload.reaches(3 << 20).await;
    expect(upload.patch(3 << 20, "").send().await, 423).await;
    stream.write_all(&data[(3 << 20) + 5..]).await.unwrap();
    let answer = raw::read_answer(&mut stream).await.unwrap().unwrap();
    assert_eq!((answer.status, answer.header("upload-offset")), (204, Some("5242880")));
    assert!(delivered(&app.download(&export).await, &export).as_bytes() == data);
    app.end().await;
}

#[tokio::test]
async fn s0_tus_the_request_that_begins_an_upload_may_bring_its_first_bytes_or_all() {
    let app = TestApp::start().await;
    for (length, sent, status) in [(10, 4, "pending"), (10, 10, "complete"), (0, 0, "complete")] {
        let export = app.create(&Customer::new(), &wanted(&[source("exampleResource")])).await;
        let begun = creation(&app, &export)
            .header("upload-length", length)
            .header("content-type", "application/offset+octet-stream")
            .body(rows(sent));
        let created = expect(begun.send().await, 201).await;
        assert_eq!(text(created.headers(), "upload-offset"), Some(sent.to_string()));
        assert_eq!(source_status(&app, &export).await["status"], status);
        let upload = Upload::at(&app, &created);
        assert_eq!(upload.offset().await, sent as u64);
        if status == "pending" {
            expect(upload.request(Method::DELETE).send().await, 204).await;
        }
    }
    app.end().await;
}

#[tokio::test]
async fn s0_tus_the_length_may_come_later_and_what_a_client_says_of_it_is_given_back() {
    let (app, export) = one_export().await;
    let begun =
        creation(&app, &export).header("upload-defer-length", 1).header("upload-metadata", "name YQ==");
    let created = expect(begun.send().await, 201).await;
    let upload = Upload::at(&app, &created);
    expect(upload.patch(0, "[1,").send().await, 204).await;
    let head = expect(upload.request(Method::HEAD).send().await, 200).await;
    assert_eq!(text(head.headers(), "upload-defer-length").as_deref(), Some("1"));
    assert_eq!(text(head.headers(), "upload-metadata").as_deref(), Some("name YQ=="));
    expect(upload.patch(3, "2]").send().await, 204).await;
    assert_eq!(source_status(&app, &export).await["status"], "pending");
    // Nothing but the length.
    expect(upload.patch(5, "").header("upload-length", 5).send().await, 204).await;
    assert_eq!(delivered(&app.download(&export).await, &export), "[1,2]");
    app.end().await;
}

#[tokio::test]
async fn s0_tus_its_customer_sees_how_far_it_has_come() {
    let (app, export) = one_export().await;
    let upload = Upload::begin(&app, &export, 20).await;
    for (from, to) in [(0, 5), (5, 12)] {
        expect(upload.patch(from, vec![b'x'; to - from]).send().await, 204).await;
        assert_eq!(source_status(&app, &export).await["received_bytes"], to);
    }
    expect(upload.patch(12, vec![b'x'; 8]).send().await, 204).await;
    assert_eq!(source_status(&app, &export).await.get("received_bytes"), None);
    app.end().await;
}

#[tokio::test]
async fn s0_tus_a_connection_that_falls_silent_gives_way_to_the_next() {
    let (app, export) = one_export().await;
    let upload = Upload::begin(&app, &export, 9).await;
    let (chunks, body) = piecewise();
    let silent = tokio::spawn(upload.patch(0, body).send());
    chunks.send(b"123".to_vec()).await.unwrap();
    // Its other end may be dead, and its client try again: long before the idle timeout of half a minute.
    let taken_over = poll_until(Duration::from_secs(20), async || {
        let answer = upload.patch(3, "456").send().await?;
        assert!([204, 409, 423].contains(&answer.status().as_u16()), "{answer:?}");
        Ok((answer.status() == 204).then_some(()))
    });
    taken_over.await.unwrap();
    assert_eq!(upload.offset().await, 6);
    chunks.send(b"too late".to_vec()).await.unwrap();
    expect(silent.await.unwrap(), 409).await;
    expect(upload.patch(6, "789").send().await, 204).await;
    assert_eq!(delivered(&app.download(&export).await, &export), "123456789");
    app.end().await;
}

#[tokio::test]
async fn s0_tus_a_request_that_pauses_goes_on_where_it_stood_unless_another_did() {
    let (app, export) = one_export().await;
    let upload = Upload::begin(&app, &export, 9).await;
    let (chunks, body) = piecewise();
    let slow = tokio::spawn(upload.patch(0, body).send());
    // The first time before its first byte.
    for (before, chunk) in [(0, "123"), (3, "456"), (6, "789")] {
        upload.reaches(before).await;
        app.wait_for_count("SELECT count(*) FROM upload_attempts", 1).await.unwrap();
        chunks.send(chunk.into()).await.unwrap();
    }
    drop(chunks);
    expect(slow.await.unwrap(), 204).await;
    assert_eq!(delivered(&app.download(&export).await, &export), "123456789");
    app.end().await;
}
