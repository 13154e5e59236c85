//! Uploads that do not end: no object, no parts, whatever ended them.

use std::{convert::Infallible, io};

use blobs::{JournalError, PutError, UploadJournal};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};

use crate::{
    on_every_store,
    place::{Journal, Place, new_key},
    sample::{MIB, NO_LIMIT, body, noise},
};

on_every_store!(
    a_body_that_breaks_before_the_first_part_leaves_nothing,
    a_body_that_breaks_after_the_first_part_leaves_nothing,
    a_body_beyond_the_limit_leaves_nothing_after_parts_were_sent,
    a_dropped_upload_leaves_nothing,
    an_upload_that_cannot_be_noted_leaves_nothing,
);

async fn a_body_that_breaks_before_the_first_part_leaves_nothing(place: Place) {
    breaks_after(&place, 2 * MIB).await;
}

async fn a_body_that_breaks_after_the_first_part_leaves_nothing(place: Place) {
    breaks_after(&place, 12 * MIB).await;
}

async fn breaks_after(place: &Place, bytes: usize) {
    let (key, journal) = (new_key(), Journal::default());
    let data = noise(bytes, 4);
    let whole = body(&data, 65_536).map(|chunk| chunk.map_err(|never: Infallible| match never {}));
    let broken = whole.chain(stream::iter([Err(io::Error::from(io::ErrorKind::ConnectionReset))]));
    let error = place.blobs.put_gzip(&key, broken, NO_LIMIT, &journal).await.unwrap_err();

    assert!(matches!(error, PutError::Body(error) if error.kind() == io::ErrorKind::ConnectionReset));
    place.assert_nothing_left(&key, &journal).await;
}

async fn a_body_beyond_the_limit_leaves_nothing_after_parts_were_sent(place: Place) {
    let (key, journal) = (new_key(), Journal::default());
    let chunk = noise(MIB, 5);
    let endless = stream::repeat_with(|| Ok::<_, Infallible>(chunk.clone()));
    let error = place.blobs.put_gzip(&key, endless, 20 << 20, &journal).await.unwrap_err();

    assert!(matches!(error, PutError::TooLarge { .. }));
    place.assert_nothing_left(&key, &journal).await;
}

async fn a_dropped_upload_leaves_nothing(place: Place) {
    let (key, journal) = (new_key(), Journal::default());
    let data = noise(12 * MIB, 6);
    let (reached, mut end_reached) = tokio::sync::mpsc::channel(1);
    let stalled = body(&data, 65_536).chain(
        async move {
            reached.send(()).await.unwrap();
            std::future::pending::<Result<Bytes, Infallible>>().await
        }
        .into_stream(),
    );
    tokio::select! {
        _ = place.blobs.put_gzip(&key, stalled, NO_LIMIT, &journal) => panic!("the body never ends"),
        _ = end_reached.recv() => {}
    }
    place.assert_nothing_left(&key, &journal).await;
}

/// Cannot note anything, but remembers what it was asked to.
#[derive(Default)]
struct Unwritable(Journal);

impl UploadJournal for Unwritable {
    async fn multipart_started(&self, upload_id: &str) -> Result<(), JournalError> {
        self.0.multipart_started(upload_id).await?;
        Err("the database is away".into())
    }
}

async fn an_upload_that_cannot_be_noted_leaves_nothing(place: Place) {
    if !place.has_upload_ids() {
        return;
    }
    let (key, journal) = (new_key(), Unwritable::default());
    let data = noise(12 * MIB, 7);
    let error = place.blobs.put_gzip(&key, body(&data, 65_536), NO_LIMIT, &journal).await.unwrap_err();

    assert!(matches!(error, PutError::Journal(_)));
    place.assert_nothing_left(&key, &journal.0).await;
}
