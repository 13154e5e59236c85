//! The object storage goes away and comes back: before, in the middle of and after uploads and downloads.

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

use e2e::PATIENCE;
use reqwest::{Method, Response, StatusCode};
use testkit::{Direction, Fault, FaultProxy, poll_until};

use crate::{
    callers::{Accepted, expect_unavailable},
    payload::{IN_PARTS, payload},
    platform::Platform,
    rig::Rig,
};

/// Within this an answer says that the storage is away: three tries to connect.
const FAST: Duration = Duration::from_secs(8);

#[tokio::test]
async fn an_upload_while_the_storage_is_away_is_told_so_and_can_be_repeated() {
    let (mut platform, proxy) = behind_proxy("").await;
    let export = platform.asking.create(1).await.unwrap();
    let source = &export.sources[0];
    away(&proxy);
    for size_bytes in [2_000, IN_PARTS] {
        let asked = Instant::now();
        let answer = platform.answering.upload_as(&export.id, source, payload(source, size_bytes)).await;
        expect_unavailable(&answer.unwrap());
        assert!(asked.elapsed() < FAST, "it took {:?}", asked.elapsed());
    }
    platform.internal.wait_unready("object-storage").await;
    assert_eq!(platform.public.readiness().await.unwrap().0, 200, "only downloads need it");
    let status = platform.asking.status(&export.id).await.unwrap();
    assert_eq!(status["sources"][0]["status"], "pending", "it stays open");

    proxy.set(Fault::None);
    platform.internal.wait_ready().await.unwrap();
    assert_eq!(platform.answering.upload(&export.id, source, payload(source, IN_PARTS)).await.unwrap(), 202);
    assert_eq!(platform.audit().await.objects, 1);
}

#[tokio::test]
async fn an_upload_whose_connection_to_the_storage_breaks_once_succeeds_or_can_be_repeated() {
    let (platform, proxy) = behind_proxy("").await;
    let export = platform.asking.create(4).await.unwrap();
    for (source, cut_after) in export.sources.iter().zip([1, 3_000, 2 << 20, 11 << 20]) {
        proxy.set(Fault::CutOnce(Direction::ToServer, cut_after));
        let answer = platform.answering.upload(&export.id, source, payload(source, IN_PARTS)).await.unwrap();
        if answer != 202 {
            assert_eq!(answer, 503);
            let again = platform.answering.upload(&export.id, source, payload(source, IN_PARTS)).await;
            assert_eq!(again.unwrap(), 202);
        }
    }
    assert_eq!(platform.audit().await.objects, 4);
}

#[tokio::test]
async fn a_storage_that_stops_in_the_middle_of_an_upload_leaves_nothing_behind() {
    let (platform, proxy) = behind_proxy("").await;
    let export = platform.asking.create(1).await.unwrap();
    let source = &export.sources[0];
    // Every request breaks after a while, and none gets through.
    proxy.set(Fault::CutEach(Direction::ToServer, 3 << 20));
    let answer = platform.answering.upload_as(&export.id, source, payload(source, IN_PARTS)).await;
    expect_unavailable(&answer.unwrap());
    proxy.set(Fault::None);
    assert_eq!(platform.answering.upload(&export.id, source, payload(source, IN_PARTS)).await.unwrap(), 202);
    assert_eq!(platform.audit().await.objects, 1);
}

#[tokio::test]
async fn a_storage_that_freezes_holds_no_upload_for_ever() {
    let patience = "[object_store]\nstall_timeout = \"1s\"\nrequest_timeout = \"2s\"";
    let (platform, proxy) = behind_proxy(patience).await;
    let export = platform.asking.create(1).await.unwrap();
    let source = &export.sources[0];
    proxy.set(Fault::Pause);
    for size_bytes in [2_000, IN_PARTS] {
        let asked = Instant::now();
        let answer = platform.answering.upload_as(&export.id, source, payload(source, size_bytes)).await;
        expect_unavailable(&answer.unwrap());
        assert!(asked.elapsed() < Duration::from_secs(15), "it took {:?}", asked.elapsed());
    }
    proxy.set(Fault::None);
    assert_eq!(platform.answering.upload(&export.id, source, payload(source, 5_000)).await.unwrap(), 202);
    assert_eq!(platform.audit().await.objects, 1);
}

#[tokio::test]
async fn a_download_while_the_storage_is_away_is_told_so_before_its_first_byte() {
    let (platform, proxy) = behind_proxy("").await;
    let export = delivered(&platform).await;
    away(&proxy);
    let asked = Instant::now();
    let answer = download(&platform, &export, None).await;
    expect_unavailable(&answer);
    assert!(asked.elapsed() < FAST, "it took {:?}", asked.elapsed());
    proxy.set(Fault::None);
    platform.audit().await;
}

#[tokio::test]
async fn a_download_whose_storage_stops_breaks_off_and_can_be_resumed() {
    let (platform, proxy) = behind_proxy("").await;
    let export = delivered(&platform).await;
    let whole = platform.asking.download(&export.id).await.unwrap();
    let mut answer = download(&platform, &export, None).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.content_length(), Some(whole.len() as u64));
    let mut bytes = answer.chunk().await.unwrap().unwrap().to_vec();
    away(&proxy);
    let broken = loop {
        match answer.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(broken, "{} of {} bytes, and then a clean end", bytes.len(), whole.len());
    assert!(!bytes.is_empty() && bytes.len() < whole.len() && whole.starts_with(&bytes));

    proxy.set(Fault::None);
    let rest = download(&platform, &export, Some(bytes.len())).await;
    assert_eq!(rest.status(), StatusCode::PARTIAL_CONTENT);
    bytes.extend_from_slice(&rest.bytes().await.unwrap());
    assert!(bytes == whole, "the two parts make the whole");
    platform.audit().await;
}

#[tokio::test]
async fn a_download_whose_connection_to_the_storage_breaks_once_is_whole() {
    let (platform, proxy) = behind_proxy("").await;
    let export = delivered(&platform).await;
    let whole = platform.asking.download(&export.id).await.unwrap();
    for cut_after in [1, 100_000, 500_000] {
        proxy.set(Fault::CutOnce(Direction::ToClient, cut_after));
        let again = poll_until(PATIENCE, async || Ok(Some(platform.asking.download(&export.id).await?)));
        assert!(again.await.unwrap() == whole);
    }
    platform.audit().await;
}

#[tokio::test]
async fn the_reaper_deletes_what_is_due_once_the_storage_is_back() {
    let (platform, proxy) = behind_proxy("").await;
    let export = delivered(&platform).await;
    away(&proxy);
    assert_eq!(platform.asking.delete(&export.id).await.unwrap(), 202);
    platform.reaper.wait_unready("object-storage").await;
    proxy.set(Fault::None);
    assert_eq!(platform.audit().await.objects, 0);
}

/// A platform whose object storage is behind a proxy.
async fn behind_proxy(further: &str) -> (Platform, FaultProxy) {
    let proxy = OnceLock::new();
    let rig = Rig::in_places(further, async |places| {
        let server = places.s3_endpoint.strip_prefix("http://").expect("an address").parse()?;
        let through = FaultProxy::start(server).await?;
        places.s3_endpoint = format!("http://{}", through.address());
        proxy.set(through).expect("set once");
        Ok(())
    });
    let rig = rig.await;
    (Platform::on(rig).await, proxy.into_inner().unwrap())
}

fn away(proxy: &FaultProxy) {
    proxy.set(Fault::Refuse);
    proxy.cut_all();
}

/// An export of 24 MiB that can be downloaded.
async fn delivered(platform: &Platform) -> Accepted {
    let export = platform.asking.create(2).await.unwrap();
    for source in &export.sources {
        let bytes = payload(source, IN_PARTS);
        assert_eq!(platform.answering.upload(&export.id, source, bytes).await.unwrap(), 202);
    }
    export
}

async fn download(platform: &Platform, export: &Accepted, from: Option<usize>) -> Response {
    let mut request = platform.asking.request(Method::GET, &format!("/{}", export.id));
    if let Some(from) = from {
        request = request.header("range", format!("bytes={from}-"));
    }
    platform.asking.send(request).await.unwrap()
}
