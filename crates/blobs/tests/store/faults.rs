//! The store goes away, stalls or breaks off in the middle.

use std::{convert::Infallible, time::Duration};

use blobs::{NoJournal, ObjectKey, PutError, StorageError};
use bytes::Bytes;
use domain::Period;
use futures_util::{FutureExt, Stream, StreamExt, TryStreamExt};
use testkit::{Direction, Fault, FaultProxy, poll_until};
use tokio::time::timeout;

use crate::{
    place::{Journal, Object, Place, new_key, s3_settings},
    sample::{MIB, NO_LIMIT, body, gzipped, noise, sha256},
};

/// What a test waits for an error at most: the settings below give up much sooner.
const PROMPTLY: Duration = Duration::from_secs(15);

/// The S3 server behind a proxy, with little patience.
async fn behind_proxy() -> (Place, FaultProxy) {
    let mut settings = s3_settings();
    let endpoint = settings.s3.endpoint.take().unwrap();
    let server = endpoint.trim_start_matches("http://").parse().unwrap();
    let proxy = FaultProxy::start(server).await.unwrap();
    settings.s3.endpoint = Some(format!("http://{}", proxy.address()));
    settings.request_timeout = Period::from_secs(3);
    settings.stall_timeout = Period::from_secs(1);
    (Place::of(settings), proxy)
}

/// `data` as a body; `fault` sets in once half of it was taken.
fn struck_body<'a>(
    data: &Bytes,
    fault: impl FnOnce() + Send + 'a,
) -> impl Stream<Item = Result<Bytes, Infallible>> + 'a {
    let (before, after) = (data.slice(..data.len() / 2), data.slice(data.len() / 2..));
    let strike = async move { fault() }.into_stream().filter_map(|()| std::future::ready(None));
    body(&before, 65_536).chain(strike).chain(body(&after, 65_536))
}

/// Reads to the end or the error.
async fn read_on(
    mut stream: impl Stream<Item = Result<Bytes, StorageError>> + Unpin,
) -> (u64, Result<(), StorageError>) {
    let mut bytes = 0;
    loop {
        match timeout(PROMPTLY, stream.try_next()).await.expect("neither bytes nor an error") {
            Ok(Some(chunk)) => bytes += chunk.len() as u64,
            Ok(None) => break (bytes, Ok(())),
            Err(error) => break (bytes, Err(error)),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_ends_soon_with_an_error_when_the_store_goes_away() {
    let (place, proxy) = behind_proxy().await;
    let (data, key, journal) = (noise(40 * MIB, 20), new_key(), Journal::default());
    let away = || {
        proxy.set(Fault::Refuse);
        proxy.cut_all();
    };
    let put = place.blobs.put_gzip(&key, struck_body(&data, away), NO_LIMIT, &journal);
    let error = timeout(PROMPTLY, put).await.expect("no error").unwrap_err();
    assert!(matches!(error, PutError::Storage(StorageError::Unavailable { .. })), "{error:?}");

    proxy.set(Fault::None);
    assert_removed_by_its_note(&place, &key, &journal).await;
}

/// What could not be removed while the store was away is removed by the id that was noted.
async fn assert_removed_by_its_note(place: &Place, key: &ObjectKey, journal: &Journal) {
    for id in journal.upload_ids() {
        // The server may still be busy with all that reached it at once.
        let aborted = poll_until(PROMPTLY, async || Ok(Some(place.blobs.abort(key, &id).await?)));
        aborted.await.unwrap();
    }
    place.assert_nothing_left(key, journal).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_ends_with_an_error_when_the_store_stalls() {
    let (place, proxy) = behind_proxy().await;
    let (data, key, journal) = (noise(40 * MIB, 21), new_key(), Journal::default());
    let stall = || proxy.set(Fault::Pause);
    let put = place.blobs.put_gzip(&key, struck_body(&data, stall), NO_LIMIT, &journal);
    let error = timeout(PROMPTLY, put).await.expect("no error").unwrap_err();
    assert!(matches!(error, PutError::Storage(StorageError::Unavailable { .. })), "{error:?}");

    proxy.set(Fault::None);
    assert_removed_by_its_note(&place, &key, &journal).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_survives_a_connection_that_breaks() {
    let (place, proxy) = behind_proxy().await;
    let (data, key, journal) = (noise(20 * MIB, 22), new_key(), Journal::default());
    proxy.set(Fault::CutOnce(Direction::ToServer, 3 << 20));
    let stored = place.blobs.put_gzip(&key, body(&data, 65_536), NO_LIMIT, &journal).await.unwrap();
    assert_eq!(proxy.fault(), Fault::None, "the fault has struck");
    assert_eq!(stored.sha256, sha256(&data));
    assert!(place.read_whole(&stored).await == gzipped(&data));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_does_not_begin_while_the_store_is_away() {
    let (place, proxy) = behind_proxy().await;
    proxy.set(Fault::Refuse);
    let (data, key) = (noise(10, 23), new_key());
    let put = place.blobs.put_gzip(&key, body(&data, 10), NO_LIMIT, &NoJournal);
    let error = timeout(PROMPTLY, put).await.expect("no error").unwrap_err();
    assert!(matches!(error, PutError::Storage(error) if error.is_transient()));
}

async fn put_directly(place: &Place, bytes: usize, seed: u64) -> (Object, Vec<u8>) {
    let data = noise(bytes, seed);
    (place.put(&data).await, gzipped(&data))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_resumes_where_a_connection_broke() {
    let (place, proxy) = behind_proxy().await;
    let (object, expected) = put_directly(&place, 12 * MIB, 24).await;
    for fault in [
        Fault::CutOnce(Direction::ToClient, 10),
        Fault::CutOnce(Direction::ToClient, 700_000),
        Fault::CutEach(Direction::ToClient, 700_000),
    ] {
        proxy.set(fault);
        let read = place.read(vec![object.segment(0..object.stored_bytes())]).await;
        assert!(read.is_ok_and(|read| read == expected), "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_ends_with_an_error_when_the_store_goes_away() {
    let (place, proxy) = behind_proxy().await;
    let (object, _) = put_directly(&place, 12 * MIB, 25).await;
    let stream = place.blobs.open(vec![object.segment(0..object.stored_bytes())]).await.unwrap();
    proxy.set(Fault::Refuse);
    proxy.cut_all();
    let (bytes, end) = read_on(stream).await;
    assert!(bytes < object.stored_bytes() && end.unwrap_err().is_transient());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_ends_with_an_error_when_the_store_stalls() {
    let (place, proxy) = behind_proxy().await;
    let (object, _) = put_directly(&place, 12 * MIB, 26).await;
    let stream = place.blobs.open(vec![object.segment(0..object.stored_bytes())]).await.unwrap();
    proxy.set(Fault::Pause);
    let (bytes, end) = read_on(stream).await;
    assert!(bytes < object.stored_bytes() && end.unwrap_err().is_transient());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_does_not_begin_while_the_store_is_away_or_stalls() {
    let (place, proxy) = behind_proxy().await;
    let (object, _) = put_directly(&place, MIB, 27).await;
    for fault in [Fault::Refuse, Fault::Pause] {
        proxy.set(fault);
        proxy.cut_all();
        let segments = vec![object.segment(0..object.stored_bytes())];
        let opened = timeout(PROMPTLY, place.blobs.open(segments)).await.expect("no error");
        assert!(opened.unwrap_err().is_transient(), "{fault:?}");
        let checked = timeout(PROMPTLY, place.blobs.check()).await.expect("no error");
        assert!(checked.unwrap_err().is_transient(), "{fault:?}");
    }
    proxy.set(Fault::None);
    place.blobs.check().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_stalls_for_longer_than_the_store_may_gets_the_rest() {
    let (place, _proxy) = behind_proxy().await;
    let (object, expected) = put_directly(&place, 8 * MIB, 28).await;
    let place = place.with_changed(|settings| {
        settings.stall_timeout = Period::from_millis(200);
        settings.request_timeout = Period::from_millis(400);
    });
    let mut stream = place.blobs.open(vec![object.segment(0..object.stored_bytes())]).await.unwrap();
    let mut read = stream.try_next().await.unwrap().unwrap().to_vec();
    tokio::time::sleep(Duration::from_millis(600)).await;
    while let Some(chunk) = stream.try_next().await.unwrap() {
        read.extend_from_slice(&chunk);
    }
    assert!(read == expected);
}
