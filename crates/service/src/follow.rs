//! What a process knows of something that others change: read at the start, and again and again.

use std::time::Duration;

use crate::{
    BoxError, Context,
    worker::{Outcome, Worker},
};

/// Calls `refresh` once now, and then every `interval`; makes `known` a part of readiness, under the same name.
/// A refresh that fails is tried again: what was known before goes on to count.
pub async fn follow<F, E>(
    context: &Context,
    name: &'static str,
    interval: Duration,
    refresh: impl Fn() -> F + Send + Sync + 'static,
    known: impl Fn() -> Result<(), E> + Send + Sync + 'static,
) where
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Into<BoxError> + Send + 'static,
{
    // What is wrong is said by the loop, which tries again.
    let _ = refresh().await;
    context.health().register(name, move || std::future::ready(known()));
    Worker::new(name, interval).start(context, move || {
        let refreshed = refresh();
        async move { refreshed.await.map(|()| Outcome::Idle).map_err(Into::into) }
    });
}
