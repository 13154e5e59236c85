//! The bytes of an archive as they are handed in: unpacked where they are gzip.

use bytes::{Bytes, BytesMut};
use fetch::{Body, Coding, FetchError, Fetched};
use futures_util::{
    StreamExt as _, TryStreamExt as _,
    stream::{self, BoxStream},
};
use receive::{UploadError, inflate};
use tokio_util::sync::CancellationToken;

/// How every gzip stream begins, and neither JSON nor CSV does.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The data of a source.
pub(crate) type Data = BoxStream<'static, Result<Bytes, UploadError<FetchError>>>;

/// The data in what is fetched: unpacked when it was packed for its way, or is stored packed, as archives are. It
/// ends with an error when `interrupted` comes first.
///
/// # Errors
/// As the body's, while its beginning is read.
pub(crate) async fn data_of(
    fetched: Fetched,
    interrupted: CancellationToken,
) -> Result<Data, UploadError<FetchError>> {
    let Fetched { coding, body } = fetched;
    let mut received = received(body, interrupted);
    if coding == Coding::Gzip {
        return Ok(inflate(received).boxed());
    }
    let mut head = BytesMut::new();
    while head.len() < GZIP_MAGIC.len() {
        let Some(chunk) = received.try_next().await? else { break };
        head.extend_from_slice(&chunk);
    }
    let packed = head.starts_with(&GZIP_MAGIC);
    let whole = stream::iter([Ok(head.freeze())]).chain(received);
    Ok(if packed { inflate(whole).boxed() } else { whole.boxed() })
}

fn received(body: Body, interrupted: CancellationToken) -> Data {
    stream::unfold(Some((body, interrupted)), |state| async move {
        let (mut body, interrupted) = state?;
        let next = tokio::select! {
            biased;
            () = interrupted.cancelled() => Err(UploadError::Interrupted),
            next = body.next() => next.map_err(UploadError::Received),
        };
        match next {
            Ok(Some(chunk)) => Some((Ok(chunk), Some((body, interrupted)))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    })
    // It may be asked again after its end, as by the inflating.
    .fuse()
    .boxed()
}
