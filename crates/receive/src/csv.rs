//! CSV is made fit for spreadsheets while it arrives, so that it is stored once and never repackaged.
//!
//! What was uploaded is counted and hashed before it is changed: limits and repeated uploads mean those bytes.

use std::{
    error::Error,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use blobs::{Blobs, HashState, ObjectKey, PutError, StoredObject, UploadJournal};
use bytes::Bytes;
use domain::{ByteSize, CsvOptions, UploadedData};
use futures_util::{Stream, StreamExt as _, stream};
use spreadsheet::{Csv, Utf16};
use store::ChangeState;

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
    let (stored_limit, work) = (limit_after(limit.bytes()), Work::new(options));
    let (data, changed) = change(body, work, End::OfBody, limit.bytes());
    match Box::pin(blobs.put_gzip(key, data, stored_limit, journal)).await {
        Ok(stored) => Ok((stored, changed.take().map(|(uploaded, _)| uploaded))),
        Err(PutError::Body(UploadError::TooLarge)) => Err(PutError::TooLarge { limit_bytes: limit.bytes() }),
        Err(other) => Err(other),
    }
}

/// The piece of an upload over several requests that goes on at its byte `offset_bytes`, changed as `options` say
/// from `state` on, and where to find what it was before. With the byte before `length_bytes` the upload ends.
/// The stream ends with [`UploadError::TooLarge`] when there are more than `limit_bytes` of the upload.
///
/// # Errors
/// When `state` is none of ours.
pub fn change_piece<S, E>(
    body: S,
    options: CsvOptions,
    offset_bytes: u64,
    state: Option<&ChangeState>,
    length_bytes: Option<u64>,
    limit_bytes: u64,
) -> Result<(impl Stream<Item = Result<Bytes, UploadError<E>>>, Changed), InvalidChangeState>
where
    S: Stream<Item = Result<Bytes, UploadError<E>>>,
{
    let work = state.map_or(Ok(Work::new(options)), |state| Work::go_on(options, offset_bytes, state))?;
    Ok(change(body, work, End::At(length_bytes), limit_bytes))
}

/// The most bytes that may become of `limit`: a guarded cell has one at least, and gets one more; a byte order
/// mark is three.
pub const fn limit_after(limit_bytes: u64) -> u64 {
    limit_bytes.saturating_mul(2).saturating_add(3)
}

/// A state that cannot be gone on from.
#[derive(Debug, thiserror::Error)]
#[error("changing the CSV of an upload cannot go on")]
pub struct InvalidChangeState(#[source] Box<dyn Error + Send + Sync>);

/// What was uploaded until the end of a stream, and the state behind it: known once the stream has ended well.
#[derive(Debug, Clone, Default)]
pub struct Changed(Arc<Mutex<Option<(UploadedData, ChangeState)>>>);

impl Changed {
    /// What is known, once.
    pub fn take(&self) -> Option<(UploadedData, ChangeState)> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<(UploadedData, ChangeState)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a file ends.
#[derive(Debug, Clone, Copy)]
enum End {
    /// With the body.
    OfBody,
    /// At this byte of the upload, if that is known.
    At(Option<u64>),
}

/// The bytes of `body` as `work` changes them, and where to find what they were before. The stream ends with
/// [`UploadError::TooLarge`] when the upload has more than `limit_bytes`.
fn change<S, E>(
    body: S,
    work: Work,
    end: End,
    limit_bytes: u64,
) -> (impl Stream<Item = Result<Bytes, UploadError<E>>>, Changed)
where
    S: Stream<Item = Result<Bytes, UploadError<E>>>,
{
    let changed = Changed::default();
    let begin = Some(State { body: Box::pin(body), work, end, limit_bytes, changed: changed.clone() });
    let data = stream::unfold(begin, |state| async move {
        match state?.step().await {
            Ok((output, state)) => Some((Ok(output), state)),
            Err(error) => Some((Err(error), None)),
        }
    });
    (data, changed)
}

struct State<S> {
    body: Pin<Box<S>>,
    work: Work,
    end: End,
    limit_bytes: u64,
    changed: Changed,
}

impl<S, E> State<S>
where
    S: Stream<Item = Result<Bytes, UploadError<E>>>,
{
    /// The next bytes; the last ones come without a state.
    async fn step(mut self) -> Result<(Bytes, Option<Self>), UploadError<E>> {
        loop {
            let Some(chunk) = self.body.next().await else {
                let (rest, changed) = self.work.end(self.end)?;
                *self.changed.lock() = Some(changed);
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
    sha256: HashState,
    size_bytes: u64,
}

impl Work {
    fn new(options: CsvOptions) -> Self {
        Self { csv: Csv::new(of_spreadsheet(options)), sha256: HashState::default(), size_bytes: 0 }
    }

    fn go_on(options: CsvOptions, size_bytes: u64, state: &ChangeState) -> Result<Self, InvalidChangeState> {
        let csv = Csv::from_bytes(of_spreadsheet(options), &state.csv);
        let sha256 = HashState::from_bytes(&state.uploaded_sha256);
        Ok(Self {
            csv: csv.map_err(|error| InvalidChangeState(error.into()))?,
            sha256: sha256.map_err(|error| InvalidChangeState(error.into()))?,
            size_bytes,
        })
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

    /// What is left to store, and what is known at the end of the body.
    fn end(self, end: End) -> Result<(Bytes, (UploadedData, ChangeState)), Utf16> {
        let uploaded = UploadedData { size_bytes: self.size_bytes, sha256: self.sha256.digest() };
        let state = ChangeState { uploaded_sha256: self.sha256.to_bytes(), csv: self.csv.to_bytes() };
        let mut output = Vec::new();
        if matches!(end, End::OfBody) || matches!(end, End::At(Some(last)) if last == self.size_bytes) {
            self.csv.finish(&mut output)?;
        }
        Ok((output.into(), (uploaded, state)))
    }
}

const fn of_spreadsheet(CsvOptions { formula_guard, bom }: CsvOptions) -> spreadsheet::CsvOptions {
    spreadsheet::CsvOptions { formula_guard, bom }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::TryStreamExt as _;

    use super::*;

    const BOTH: CsvOptions = CsvOptions { formula_guard: true, bom: true };

    fn chunks(text: &str, length: usize) -> impl Stream<Item = Result<Bytes, UploadError<Infallible>>> {
        let chunks: Vec<_> =
            text.as_bytes().chunks(length).map(|part| Ok(Bytes::copy_from_slice(part))).collect();
        stream::iter(chunks)
    }

    async fn changed(
        text: &str,
        chunk: usize,
        limit: usize,
    ) -> Result<(Vec<u8>, UploadedData), UploadError<Infallible>> {
        let (stream, changed) = change(chunks(text, chunk), Work::new(BOTH), End::OfBody, limit as u64);
        let parts: Vec<Bytes> = stream.try_collect().await?;
        Ok((parts.concat(), changed.take().unwrap().0))
    }

    fn of(text: &str) -> UploadedData {
        let mut sha256 = HashState::default();
        sha256.update(text.as_bytes());
        UploadedData { size_bytes: text.len() as u64, sha256: sha256.digest() }
    }

    #[tokio::test]
    async fn what_is_stored_is_changed_and_what_was_uploaded_is_known() {
        let text = "name,sum\n=cmd(),-1.5\n@a,b\n";
        for chunk in [1, 7, 1000] {
            let (stored, uploaded) = changed(text, chunk, text.len()).await.unwrap();
            assert_eq!(String::from_utf8(stored).unwrap(), "\u{feff}name,sum\n'=cmd(),-1.5\n'@a,b\n");
            assert_eq!(uploaded, of(text));
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
        assert!(long.0.len() as u64 <= limit_after(text.len() as u64));
    }

    #[tokio::test]
    async fn the_limit_is_one_for_what_is_uploaded() {
        let refused = changed("=a\n=b\n", 2, 5).await;
        assert!(matches!(refused, Err(UploadError::TooLarge)), "{refused:?}");
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_not_known() {
        let broken = [Ok(Bytes::from_static(b"a,b")), Err(UploadError::<Infallible>::Interrupted)];
        let (stream, changed) = change(stream::iter(broken), Work::new(BOTH), End::OfBody, 100);
        assert!(stream.try_collect::<Vec<Bytes>>().await.is_err());
        assert_eq!(changed.take(), None);
    }

    #[tokio::test]
    async fn pieces_come_to_the_same_as_the_whole_wherever_they_are_cut() {
        let text = "a,\"=b\"\n-1,-";
        let length = text.len();
        for (first, second) in
            (0..=length).flat_map(|first| (first..=length).map(move |second| (first, second)))
        {
            let (mut state, mut stored, mut offset) = (None, Vec::new(), 0);
            for end in [first, second, length] {
                let piece = chunks(&text[offset..end], 2);
                let (limit, at) = (length as u64, offset as u64);
                let (data, changed) =
                    change_piece(piece, BOTH, at, state.as_ref(), Some(limit), limit).unwrap();
                stored.extend(data.try_collect::<Vec<Bytes>>().await.unwrap().concat());
                let (uploaded, behind) = changed.take().unwrap();
                assert_eq!(uploaded, of(&text[..end]));
                (state, offset) = (Some(behind), end);
                if end == length {
                    break;
                }
            }
            assert_eq!(String::from_utf8(stored).unwrap(), "\u{feff}a,\"'=b\"\n-1,'-", "{first} {second}");
        }
    }

    #[tokio::test]
    async fn a_piece_that_leads_beyond_the_length_is_too_large() {
        let state = Work::new(BOTH).end(End::At(None)).unwrap().1.1;
        let (data, _) = change_piece(chunks("a,b", 1), BOTH, 8, Some(&state), Some(10), 10).unwrap();
        let refused = data.try_collect::<Vec<Bytes>>().await;
        assert!(matches!(refused, Err(UploadError::TooLarge)), "{refused:?}");
    }
}
