//! The loops that send, one for each kind of record. Each has a Kafka client of its own: where the topic of one
//! kind is missing or full, the others go on.

use std::{sync::Arc, time::Duration};

use blobs::UrlSigner;
use bus::{Announcements, LifecycleEvents, Producer};
use service::{
    BoxError, Context,
    worker::{Outcome, Worker},
};
use store::{FollowedRegistry, OutboxKind, Store, StoreError};
use tokio::sync::Notify;

use crate::{
    announcing::Announcer,
    outbox::{Figures, Outbox},
    render::Renderer,
    settings::Settings,
};

/// After so long at most a failed step is tried again: once Kafka is back, what has waited is sent soon. A
/// failing step is slow by itself, as it waits for `kafka.message_timeout`.
const LONGEST_RETRY: Duration = Duration::from_secs(5);

/// What all lanes are made of.
struct Lanes<'a> {
    context: &'a Context,
    store: &'a Store,
    settings: &'a Settings,
    figures: Figures,
}

/// Starts all lanes and returns the producer of requests, whose topic must be there for the service to be ready,
/// and what wakes the loop that sends them.
///
/// Without a `signer` announcements wait in the outbox.
///
/// # Errors
/// When the settings cannot be used, or the system has no thread left.
pub(crate) fn start(
    context: &Context,
    store: &Store,
    settings: &Settings,
    signer: Option<UrlSigner>,
    registry: Arc<FollowedRegistry>,
) -> Result<(Producer, Arc<Notify>), BoxError> {
    let lanes = Lanes { context, store, settings, figures: Figures::new(context.metrics()) };
    let requests = lanes.requests()?;
    lanes.lifecycle()?;
    if let Some(signer) = signer {
        lanes.announcements(signer, registry)?;
    }
    Ok(requests)
}

impl Lanes<'_> {
    fn requests(&self) -> Result<(Producer, Arc<Notify>), BoxError> {
        let (worker, producer) = (self.worker("outbox"), self.producer()?);
        let wake = worker.wake();
        let listener = self.store.wakeup_listener(worker.wake())?;
        let outbox = self.outbox(&producer, Renderer::Requests);
        worker.start(self.context, move || {
            // The listener lives as long as the loop that it wakes.
            let _ = &listener;
            let outbox = Arc::clone(&outbox);
            async move { outbox.step().await }
        });
        Ok((producer, wake))
    }

    /// Nobody waits for these as an application waits for requests: the poll is soon enough.
    fn lifecycle(&self) -> Result<(), BoxError> {
        if !self.settings.lifecycle_events.enabled {
            self.discard(OutboxKind::Lifecycle);
            return Ok(());
        }
        let events = LifecycleEvents::new(&self.settings.lifecycle_events, &self.settings.events)?;
        self.send("outbox-lifecycle", Renderer::Lifecycle(Box::new(events)))
    }

    fn announcements(&self, signer: UrlSigner, registry: Arc<FollowedRegistry>) -> Result<(), BoxError> {
        let announcements = Announcements::new(self.settings.announce.clone());
        let clock = self.context.clock().clone();
        let announcer = Announcer { announcements, registry, signer, clock };
        self.send("outbox-announcements", Renderer::Announcements(Box::new(announcer)))
    }

    fn send(&self, name: &'static str, renderer: Renderer) -> Result<(), BoxError> {
        let outbox = self.outbox(&self.producer()?, renderer);
        self.worker(name).start(self.context, move || {
            let outbox = Arc::clone(&outbox);
            async move { outbox.step().await }
        });
        Ok(())
    }

    /// Empties the outbox of what is not to be sent: it is written in any case, so that whether it is sent is
    /// decided in one place.
    fn discard(&self, kind: OutboxKind) {
        let (store, batch) = (self.store.clone(), self.settings.dispatcher.batch.max(1));
        self.worker("outbox-discard").start(self.context, move || {
            let store = store.clone();
            async move {
                let discarded = store.discard_records(kind, batch).await?;
                Ok::<_, StoreError>(if discarded > 0 { Outcome::Done } else { Outcome::Idle })
            }
        });
    }

    fn worker(&self, name: &'static str) -> Worker {
        Worker::new(name, self.settings.dispatcher.poll.as_duration()).retry_within(LONGEST_RETRY)
    }

    fn outbox(&self, producer: &Producer, renderer: Renderer) -> Arc<Outbox> {
        let (store, clock) = (self.store.clone(), self.context.clock().clone());
        let (settings, figures) = (&self.settings.dispatcher, self.figures.clone());
        Arc::new(Outbox::new(store, producer.clone(), clock, renderer, settings, figures))
    }

    /// A client whose threads end once the loops have.
    fn producer(&self) -> Result<Producer, BoxError> {
        let producer = Producer::new(&self.settings.kafka, self.settings.events.max_message_bytes)?;
        let ending = producer.clone();
        self.context.at_end(async move { ending.close().await });
        Ok(producer)
    }
}
