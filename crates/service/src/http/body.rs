//! Bodies of requests, read within limits of size, patience and pace.
//!
//! The server below has no timeout for bodies: without these limits a client that sends a byte a
//! minute, or none, holds a connection and its buffers for ever.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::{dev::Payload, error::PayloadError, http::StatusCode};
use bytes::{Bytes, BytesMut};
use domain::{ByteSize, Period};
use futures_util::{Stream, StreamExt as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{HttpError, patience::Patience};

/// For so long a body may be slower than the least pace: connections take time to warm up.
const PACE_GRACE: Duration = Duration::from_secs(10);

/// Limits on the body of a request.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BodyLimits {
    /// How long a client may send nothing; then 408.
    pub idle_timeout: Period,
    /// Least bytes a second, on average from the tenth second on; below it 408. 0 switches it off.
    pub min_bytes_per_second: ByteSize,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self { idle_timeout: Period::from_secs(30), min_bytes_per_second: ByteSize::from_kib(1) }
    }
}

/// Why a body could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is larger than the limit in bytes that is told.
    #[error("payload is too large, max size: {}", ByteSize::from_bytes(*.0))]
    TooLarge(u64),
    /// The client sent nothing for too long, or too little in too long a time.
    #[error("the payload arrives too slowly")]
    TooSlow,
    /// The client broke off or sent something that is not HTTP.
    #[error("the payload is incomplete or malformed")]
    Broken(#[source] PayloadError),
}

impl From<BodyError> for HttpError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge(_) => Self::payload_too_large(error.to_string()),
            BodyError::TooSlow => Self::new(StatusCode::REQUEST_TIMEOUT, error.to_string()),
            BodyError::Broken(_) => Self::bad_request(error.to_string()),
        }
    }
}

/// A body as it arrives, in chunks as the connection hands them over. It ends with the body, or with
/// one error. Time in which nobody asks for the next chunk does not count against the client.
#[derive(Debug)]
pub struct BodyStream<S> {
    body: S,
    limits: BodyLimits,
    max_bytes: u64,
    taken_bytes: u64,
    patience: Patience,
    ended: bool,
}

impl<S> BodyStream<S>
where
    S: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    /// Reads `body` within `limits` and up to `max_bytes`.
    pub fn new(body: S, limits: &BodyLimits, max_bytes: u64) -> Self {
        Self {
            body,
            limits: limits.clone(),
            max_bytes,
            taken_bytes: 0,
            patience: Patience::new(limits.idle_timeout.as_duration()),
            ended: false,
        }
    }

    fn take(&mut self, chunk: Bytes) -> Result<Bytes, BodyError> {
        self.taken_bytes = self.taken_bytes.saturating_add(chunk.len() as u64);
        if self.taken_bytes > self.max_bytes {
            return Err(BodyError::TooLarge(self.max_bytes));
        }
        let waited = self.patience.answered();
        let least = self.limits.min_bytes_per_second.bytes().saturating_mul(waited.as_secs());
        if waited > PACE_GRACE && self.taken_bytes < least {
            return Err(BodyError::TooSlow);
        }
        Ok(chunk)
    }
}

impl<S> Stream for BodyStream<S>
where
    S: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        let waker = this.patience.ask(cx.waker());
        let cx = &mut Context::from_waker(&waker);
        let item = match this.body.poll_next_unpin(cx) {
            Poll::Ready(Some(Ok(chunk))) => Some(this.take(chunk)),
            Poll::Ready(Some(Err(error))) => Some(Err(BodyError::Broken(error))),
            Poll::Ready(None) => None,
            Poll::Pending => match this.patience.poll_lost(cx) {
                Poll::Ready(()) => Some(Err(BodyError::TooSlow)),
                Poll::Pending => return Poll::Pending,
            },
        };
        this.ended = !matches!(item, Some(Ok(_)));
        Poll::Ready(item)
    }
}

/// Reads a whole body of at most `max_bytes` into memory.
///
/// # Errors
/// [`BodyError`], which becomes 413, 408 or 400.
pub async fn read_body(payload: Payload, limits: &BodyLimits, max_bytes: u64) -> Result<Bytes, BodyError> {
    let mut stream = BodyStream::new(payload, limits, max_bytes);
    let mut body = BytesMut::new();
    while let Some(chunk) = stream.next().await {
        body.extend_from_slice(&chunk?);
    }
    Ok(body.freeze())
}

/// Reads a body of at most `max_bytes` that is JSON, whatever its content type says.
///
/// # Errors
/// 413, 408 or 400 as [`read_body`]; 400 if it is not JSON or not a `T`.
pub async fn read_json<T>(payload: Payload, limits: &BodyLimits, max_bytes: u64) -> Result<T, HttpError>
where
    T: DeserializeOwned,
{
    let body = read_body(payload, limits, max_bytes).await?;
    serde_json::from_slice(&body).map_err(|error| HttpError::bad_request(format!("invalid JSON: {error}")))
}

#[cfg(test)]
mod tests {
    use futures_util::{
        FutureExt as _,
        stream::{self, LocalBoxStream},
    };
    use tokio::time::{Instant, advance, sleep};

    use super::*;

    type Chunks = LocalBoxStream<'static, Result<Bytes, PayloadError>>;

    fn read(chunks: Chunks, max_bytes: u64) -> BodyStream<Chunks> {
        BodyStream::new(chunks, &BodyLimits::default(), max_bytes)
    }

    fn every(wait: Duration, chunk: &'static [u8]) -> Chunks {
        let chunks = stream::repeat(chunk).then(move |chunk| async move {
            sleep(wait).await;
            Ok(Bytes::from_static(chunk))
        });
        chunks.boxed_local()
    }

    async fn last(mut body: BodyStream<Chunks>) -> Result<Bytes, BodyError> {
        loop {
            match body.next().await {
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    assert!(body.next().await.is_none(), "an error is the end");
                    return Err(error);
                }
                None => return Ok(Bytes::new()),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_of_exactly_the_limit_passes_and_one_byte_more_does_not() {
        let body =
            || stream::iter([Ok(Bytes::from_static(b"abc")), Ok(Bytes::from_static(b"de"))]).boxed_local();
        assert!(last(read(body(), 5)).await.is_ok());
        let error = last(read(body(), 4)).await.unwrap_err();
        assert_eq!(error.to_string(), "payload is too large, max size: 4B");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_stops_sending_is_dropped_after_the_idle_timeout() {
        let started = Instant::now();
        let chunks = stream::iter([Ok(Bytes::from_static(b"abc"))]).chain(stream::pending()).boxed_local();
        assert!(matches!(last(read(chunks, 5)).await, Err(BodyError::TooSlow)));
        assert_eq!(started.elapsed(), Duration::from_secs(30));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_drips_is_dropped_and_a_slow_steady_one_is_not() {
        let started = Instant::now();
        let dripping = last(read(every(Duration::from_secs(1), b"x"), u64::MAX)).await;
        assert!(matches!(dripping, Err(BodyError::TooSlow)));
        assert_eq!(started.elapsed(), Duration::from_secs(11));
        let steady = last(read(every(Duration::from_secs(1), &[0; 2048]), 2048 * 600)).await;
        assert!(matches!(steady, Err(BodyError::TooLarge(_))), "600 s long it was fast enough");
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_that_waits_for_us_does_not_come_too_slowly() {
        let ready = stream::iter([Ok(Bytes::from_static(b"abc")), Ok(Bytes::from_static(b"de"))]);
        let mut body = read(ready.boxed_local(), 5);
        advance(Duration::from_mins(1)).await;
        assert!(matches!(body.next().await, Some(Ok(_))), "before the first chunk");
        advance(Duration::from_mins(1)).await;
        assert!(matches!(body.next().await, Some(Ok(_))), "between two chunks");
        assert!(body.next().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_chunk_that_came_while_nobody_asked_did_not_come_late() {
        let mut body = read(every(Duration::from_secs(1), b"x"), u64::MAX);
        for _ in 0..9 {
            assert!(body.next().now_or_never().is_none(), "the client has a second");
            advance(Duration::from_millis(1001)).await;
            tokio::task::yield_now().await;
            advance(Duration::from_mins(1)).await;
            assert!(matches!(body.next().await, Some(Ok(_))));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_has_the_whole_idle_timeout_after_a_pause_of_ours() {
        let mut body = read(stream::pending().boxed_local(), 5);
        advance(Duration::from_mins(1)).await;
        let asked = Instant::now();
        assert!(matches!(body.next().await, Some(Err(BodyError::TooSlow))));
        assert_eq!(asked.elapsed(), Duration::from_secs(30));
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_an_error() {
        let chunks = stream::iter([Ok(Bytes::from_static(b"abc")), Err(PayloadError::Incomplete(None))]);
        assert!(matches!(last(read(chunks.boxed_local(), 5)).await, Err(BodyError::Broken(_))));
    }
}
