//! Uploads that arrive as gzip are inflated, and stored our way.
//!
//! Inflating runs on blocking threads, a bounded step at a time: a small chunk may stand for a thousand
//! times as many bytes.

use archive::gzip::{Inflater, InvalidGzip};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};

use crate::error::UploadError;

/// Most bytes that one step gives.
const STEP_BYTES: usize = 1024 * 1024;

/// The bytes that the gzip stream `body` stands for. It ends with the body's last member, checked against
/// its trailer, or with one error.
pub fn inflate<S, E>(body: S) -> impl Stream<Item = Result<Bytes, UploadError<E>>>
where
    S: Stream<Item = Result<Bytes, UploadError<E>>> + Unpin,
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

impl<S> State<S> {
    /// The next bytes; None at a good end.
    async fn step<E>(mut self) -> Result<Option<(Bytes, Self)>, UploadError<E>>
    where
        S: Stream<Item = Result<Bytes, UploadError<E>>> + Unpin,
    {
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
