//! Small pieces become the beginning of the next one.

use std::error::Error;

use archive::zip::Segment;
use bytes::Bytes;
use domain::StoredPiece;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, future::Either, stream};
use receive::inflate;

use crate::{api::Api, error::BodyError};

/// The data of pieces that the next one takes in. Such pieces are small and few.
pub(super) fn read_back(
    api: &Api,
    folded: &[StoredPiece],
) -> impl Stream<Item = Result<Bytes, BodyError>> + use<> {
    if folded.is_empty() {
        return Either::Left(stream::empty());
    }
    let segments = folded
        .iter()
        .map(|piece| Segment::Object { key: piece.object_key.as_str().into(), range: 0..piece.stored_bytes });
    let (blobs, segments) = (api.blobs.clone(), segments.collect());
    let bytes = stream::once(async move { blobs.open(segments).await }).try_flatten();
    let bytes = bytes.map_err(|error| interrupted(&error)).boxed_local();
    Either::Right(inflate(bytes).map_err(|error| match error {
        BodyError::NotGzip(error) => interrupted(&error),
        error => error,
    }))
}

fn interrupted(error: &(dyn Error + 'static)) -> BodyError {
    tracing::error!(error, "a piece of an upload cannot be read back");
    BodyError::Interrupted
}
