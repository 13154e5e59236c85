//! Several runtimes, as in an HTTP server with one for each of its threads.

use std::{convert::Infallible, rc::Rc};

use archive::zip::Segment;
use blobs::{Blobs, NoJournal, StoredObject};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};

use crate::{
    on_every_store,
    place::{Place, new_key},
    sample::{MIB, NO_LIMIT, body, noise},
};

on_every_store!(connections_outlive_the_runtime_that_used_them_first);

/// What a server thread does, on a runtime that ends with it.
#[tokio::main(flavor = "current_thread")]
async fn put_and_read(blobs: &Blobs, data: &Bytes) -> StoredObject {
    // A body that cannot leave its thread, as those of HTTP servers.
    let local = Rc::new(());
    let body = body(data, 65_536).map(|chunk: Result<Bytes, Infallible>| {
        let _ = Rc::strong_count(&local);
        chunk
    });
    let stored = blobs.put_gzip(&new_key(), body, NO_LIMIT, &NoJournal).await.unwrap();
    let segment = Segment::Object { key: (&stored.key).into(), range: 0..stored.stored_bytes };
    let read: Vec<Bytes> = blobs.open(vec![segment]).await.unwrap().try_collect().await.unwrap();
    assert_eq!(read.concat().len() as u64, stored.stored_bytes);
    stored
}

async fn connections_outlive_the_runtime_that_used_them_first(place: Place) {
    let data = noise(12 * MIB, 30);
    for _ in 0..3 {
        let (blobs, data) = (place.blobs.clone(), data.clone());
        let stored = tokio::task::spawn_blocking(move || put_and_read(&blobs, &data)).await.unwrap();
        assert_eq!(place.blobs.size_of(&stored.key).await.unwrap(), Some(stored.stored_bytes));
        place.blobs.delete(&stored.key).await.unwrap();
    }
}

#[tokio::test]
async fn an_upload_and_a_download_can_be_tasks() {
    let place = Place::local();
    let (blobs, data) = (place.blobs.clone(), noise(MIB, 31));
    let task = tokio::spawn(async move {
        let key = new_key();
        let stored = blobs.put_gzip(&key, body(&data, 65_536), NO_LIMIT, &NoJournal).await.unwrap();
        let segment = Segment::Object { key: (&key).into(), range: 0..stored.stored_bytes };
        blobs.open(vec![segment]).await.unwrap().try_collect::<Vec<_>>().await.unwrap()
    });
    assert!(!task.await.unwrap().is_empty());
}
