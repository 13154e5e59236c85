//! CSV is made fit for spreadsheets while it arrives, so that it is stored once and never repackaged.
//!
//! What was uploaded is counted and hashed before it is changed: limits and repeated uploads mean those bytes.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use blobs::{Blobs, ObjectKey, PutError, StoredObject, UploadJournal};
use bytes::Bytes;
use domain::{ByteSize, CsvOptions, UploadedData};
use futures_util::{Stream, StreamExt as _, stream};
use sha2::{Digest as _, Sha256};
use spreadsheet::{Csv, Utf16};

use crate::error::UploadError;

/// Most bytes that are worked on in the server's thread: what a connection has ready is a few KiB, and takes
/// microseconds. An inflated step is up to a MiB, and takes milliseconds.
const SHORT_CHUNK: usize = 64 * 1024;

/// Stores `body` as a gzip object, changed as `options` say. Returned with it: what was uploaded, where that is
/// not what is stored.
///
/// # Errors
/// [`PutError`]; `limit` is one for what is uploaded.
pub(crate) async fn put_gzip<E>(
    blobs: &Blobs,
    key: &ObjectKey,
    body: impl Stream<Item = Result<Bytes, UploadError<E>>>,
    options: CsvOptions,
    limit: ByteSize,
    journal: &impl UploadJournal,
) -> Result<(StoredObject, Option<UploadedData>), PutError<UploadError<E>>> {
    if !options.any() {
        let stored = Box::pin(blobs.put_gzip(key, body, limit.bytes(), journal)).await?;
        return Ok((stored, None));
    }
    let (changed, uploaded) = change(body, options, limit);
    match Box::pin(blobs.put_gzip(key, changed, limit_after(limit), journal)).await {
        Ok(stored) => Ok((stored, uploaded.data())),
        Err(PutError::Body(UploadError::TooLarge)) => Err(PutError::TooLarge { limit_bytes: limit.bytes() }),
        Err(other) => Err(other),
    }
}

/// The most bytes that may become of `limit`: a guarded cell has one at least, and gets one more; a byte order
/// mark is three.
const fn limit_after(limit: ByteSize) -> u64 {
    limit.bytes().saturating_mul(2).saturating_add(3)
}

/// What was uploaded, known once the stream that it belongs to has ended well.
#[derive(Debug, Clone, Default)]
struct Uploaded(Arc<Mutex<Option<UploadedData>>>);

impl Uploaded {
    fn data(&self) -> Option<UploadedData> {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Option<UploadedData>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bytes of `body` with `options` applied, and where to find what they were before. The stream ends with
/// [`UploadError::TooLarge`] when the body has more than `limit`.
fn change<S, E>(
    body: S,
    options: CsvOptions,
    limit: ByteSize,
) -> (impl Stream<Item = Result<Bytes, UploadError<E>>>, Uploaded)
where
    S: Stream<Item = Result<Bytes, UploadError<E>>>,
{
    let uploaded = Uploaded::default();
    let begin = Some(State {
        body: Box::pin(body),
        work: Work::new(options),
        limit_bytes: limit.bytes(),
        uploaded: uploaded.clone(),
    });
    let changed = stream::unfold(begin, |state| async move {
        match state?.step().await {
            Ok((output, state)) => Some((Ok(output), state)),
            Err(error) => Some((Err(error), None)),
        }
    });
    (changed, uploaded)
}

struct State<S> {
    body: Pin<Box<S>>,
    work: Work,
    limit_bytes: u64,
    uploaded: Uploaded,
}

impl<S, E> State<S>
where
    S: Stream<Item = Result<Bytes, UploadError<E>>>,
{
    /// The next bytes; the last ones come without a state.
    async fn step(mut self) -> Result<(Bytes, Option<Self>), UploadError<E>> {
        loop {
            let Some(chunk) = self.body.next().await else {
                let (rest, uploaded) = self.work.finish()?;
                *self.uploaded.lock() = Some(uploaded);
                return Ok((rest, None));
            };
            let chunk = chunk?;
            if self.work.size_bytes + chunk.len() as u64 > self.limit_bytes {
                return Err(UploadError::TooLarge);
            }
            let output;
            (self.work, output) = self.work.take_in(chunk).await?;
            if !output.is_empty() {
                return Ok((output, Some(self)));
            }
        }
    }
}

struct Work {
    csv: Csv,
    sha256: Sha256,
    size_bytes: u64,
}

impl Work {
    fn new(options: CsvOptions) -> Self {
        let CsvOptions { formula_guard, bom } = options;
        let csv = Csv::new(spreadsheet::CsvOptions { formula_guard, bom });
        Self { csv, sha256: Sha256::new(), size_bytes: 0 }
    }

    async fn take_in<E>(self, chunk: Bytes) -> Result<(Self, Bytes), UploadError<E>> {
        if chunk.len() <= SHORT_CHUNK {
            return Ok(self.take_in_now(&chunk)?);
        }
        let done = tokio::task::spawn_blocking(move || self.take_in_now(&chunk));
        Ok(done.await.map_err(|_| UploadError::Interrupted)??)
    }

    fn take_in_now(mut self, chunk: &[u8]) -> Result<(Self, Bytes), Utf16> {
        self.size_bytes += chunk.len() as u64;
        self.sha256.update(chunk);
        let mut output = Vec::with_capacity(chunk.len() + chunk.len() / 8);
        self.csv.push(chunk, &mut output)?;
        Ok((self, output.into()))
    }

    fn finish(self) -> Result<(Bytes, UploadedData), Utf16> {
        let mut output = Vec::new();
        self.csv.finish(&mut output)?;
        let uploaded = UploadedData { size_bytes: self.size_bytes, sha256: self.sha256.finalize().into() };
        Ok((output.into(), uploaded))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::TryStreamExt as _;

    use super::*;

    const BOTH: CsvOptions = CsvOptions { formula_guard: true, bom: true };

    async fn changed(
        text: &str,
        chunk: usize,
        limit: usize,
    ) -> Result<(Vec<u8>, UploadedData), UploadError<Infallible>> {
        let chunks: Vec<_> =
            text.as_bytes().chunks(chunk).map(|part| Ok(Bytes::copy_from_slice(part))).collect();
        let limit = ByteSize::from_bytes(limit as u64);
        let (stream, uploaded) = change(stream::iter(chunks), BOTH, limit);
        let parts: Vec<Bytes> = stream.try_collect().await?;
        Ok((parts.concat(), uploaded.data().unwrap()))
    }

    #[tokio::test]
    async fn what_is_stored_is_changed_and_what_was_uploaded_is_known() {
        let text = "name,sum\n=cmd(),-1.5\n@a,b\n";
        for chunk in [1, 7, 1000] {
            let (stored, uploaded) = changed(text, chunk, text.len()).await.unwrap();
            assert_eq!(String::from_utf8(stored).unwrap(), "\u{feff}name,sum\n'=cmd(),-1.5\n'@a,b\n");
            let sha256 = Sha256::digest(text).into();
            assert_eq!(uploaded, UploadedData { size_bytes: text.len() as u64, sha256 });
        }
    }

    #[tokio::test]
    async fn long_chunks_are_changed_as_short_ones_are() {
        let text = "=a,b\n".repeat(100_000);
        let (long, short) = (
            changed(&text, 300_000, text.len()).await.unwrap(),
            changed(&text, 4096, text.len()).await.unwrap(),
        );
        assert!(long == short && long.0.len() > text.len());
        assert!(long.0.len() as u64 <= limit_after(ByteSize::from_bytes(text.len() as u64)));
    }

    #[tokio::test]
    async fn the_limit_is_one_for_what_is_uploaded() {
        let refused = changed("=a\n=b\n", 2, 5).await;
        assert!(matches!(refused, Err(UploadError::TooLarge)), "{refused:?}");
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_not_known() {
        let broken = [Ok(Bytes::from_static(b"a,b")), Err(UploadError::<Infallible>::Interrupted)];
        let (stream, uploaded) = change(stream::iter(broken), BOTH, ByteSize::from_mib(1));
        assert!(stream.try_collect::<Vec<Bytes>>().await.is_err());
        assert_eq!(uploaded.data(), None);
    }
}
