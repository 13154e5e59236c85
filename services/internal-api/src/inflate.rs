//! Uploads that arrive as gzip are inflated, and stored our way.
//!
//! Inflating runs on blocking threads, a bounded step at a time: a small chunk may stand for a thousand
//! times as many bytes.

use archive::gzip::{Inflater, InvalidGzip};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use service::http::BodyError;

/// Most bytes that one step gives.
const STEP_BYTES: usize = 1024 * 1024;

/// Why the bytes of an upload do not come to an end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UploadError {
    #[error(transparent)]
    Received(#[from] BodyError),
    #[error("the payload is not valid gzip")]
    NotGzip(#[from] InvalidGzip),
    /// The process is stopping.
    #[error("the payload could not be read to its end")]
    Interrupted,
}

/// The bytes that the gzip stream `body` stands for. It ends with the body's last member, checked against
/// its trailer, or with one error.
pub(crate) fn inflate<S>(body: S) -> impl Stream<Item = Result<Bytes, UploadError>>
where
    S: Stream<Item = Result<Bytes, UploadError>> + Unpin,
{
    let begin = Some(State { body, inflater: Box::default(), input: Bytes::new() });
    stream::unfold(begin, |state| async move {
        let state = state?;
        match state.step().await {
            Ok(Some((output, state))) => Some((Ok(output), Some(state))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    })
}

struct State<S> {
    body: S,
    inflater: Box<Inflater>,
    /// What was received and not yet inflated.
    input: Bytes,
}

impl<S: Stream<Item = Result<Bytes, UploadError>> + Unpin> State<S> {
    /// The next bytes; None at a good end.
    async fn step(mut self) -> Result<Option<(Bytes, Self)>, UploadError> {
        loop {
            if self.input.is_empty() {
                let Some(chunk) = self.body.next().await else {
                    // At most what the last step left over; once that is given, nothing.
                    let rest = self.inflater.finish()?;
                    return Ok((!rest.is_empty()).then(|| (rest.into(), self)));
                };
                self.input = chunk?;
            }
            let (mut inflater, mut input) = (self.inflater, self.input);
            let stepped = tokio::task::spawn_blocking(move || {
                let (taken, output) = inflater.inflate(&input, STEP_BYTES)?;
                Ok::<_, InvalidGzip>((inflater, input.split_off(taken), output))
            });
            let (inflater, input, output) = stepped.await.map_err(|_| UploadError::Interrupted)??;
            (self.inflater, self.input) = (inflater, input);
            if !output.is_empty() {
                return Ok(Some((output.into(), self)));
            }
        }
    }
}
