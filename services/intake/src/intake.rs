//! What takes records and keeps their partitions going.

use std::{sync::Arc, time::Duration};

use blobs::Blobs;
use bus::{AnnounceSettings, Consumer, DeadLetters, KafkaFailure, KafkaSettings, Subscription};
use domain::{ApplicationName, SharedClock};
use fetch::Fetcher;
use receive::Receiver;
use service::{Backoff, BoxError, Context};
use store::{FollowedRegistry, Store};
use tokio::{
    task::JoinSet,
    time::{interval, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    settings::{IntakeSettings, Settings},
    telling::Telling,
    turns::{Turn, Turns},
};

/// The header by which records for us are told from the others.
const SERVICE_HEADER: &str = "service";

/// How often the figures are brought up to date.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// The waits before a consumer that can go on no more is followed by another.
const REJOIN: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));

/// Shared by all records.
pub(crate) struct Intake {
    pub(crate) store: Store,
    pub(crate) blobs: Blobs,
    pub(crate) registry: Arc<FollowedRegistry>,
    pub(crate) receiver: Receiver,
    pub(crate) fetcher: Fetcher,
    pub(crate) letters: DeadLetters,
    pub(crate) clock: SharedClock,
    pub(crate) telling: Telling,
    pub(crate) announce: AnnounceSettings,
    pub(crate) settings: IntakeSettings,
    pub(crate) soft_stop: CancellationToken,
    pub(crate) hard_stop: CancellationToken,
    turns: Turns,
}

impl Intake {
    /// Connects to what is needed, lazily.
    ///
    /// # Errors
    /// When settings cannot be used.
    pub(crate) fn new(context: &Context, all: Settings) -> Result<Self, BoxError> {
        let (announce, settings) = (all.announce, all.intake);
        let (store, blobs) = (Store::connect(all.database), Blobs::connect(&all.object_store)?);
        let (clock, lease) = (context.clock().clone(), settings.upload_lease.as_time_delta());
        let dead_letter_topic = announce.dead_letter_topic.clone();
        Ok(Self {
            registry: Arc::new(FollowedRegistry::new(store.clone())),
            receiver: Receiver::new(store.clone(), blobs.clone(), clock.clone(), lease),
            fetcher: Fetcher::new(&settings.fetch)?,
            letters: DeadLetters::new(&all.kafka, dead_letter_topic, announce.max_message_bytes)?,
            telling: Telling::new(context.metrics()),
            soft_stop: context.soft_stop().clone(),
            hard_stop: context.hard_stop().clone(),
            turns: Turns::new(settings.parallel, settings.parallel_of_application),
            store,
            blobs,
            clock,
            announce,
            settings,
        })
    }

    /// Takes records until the soft stop. A consumer that can go on no more is followed by another.
    ///
    /// # Errors
    /// When the settings of Kafka cannot be used.
    pub(crate) async fn run(self: Arc<Self>, kafka: &KafkaSettings) -> Result<(), BoxError> {
        let mut rejoin = REJOIN;
        while !self.soft_stop.is_cancelled() {
            let consumer = Consumer::join(kafka, self.subscription())?;
            if let Err(error) = self.consume(consumer).await {
                tracing::error!(error = service::chain(&error), "the Kafka consumer can go on no more");
                tokio::select! {
                    () = sleep(rejoin.failed()) => {}
                    () = self.soft_stop.cancelled() => {}
                }
            }
        }
        Ok(())
    }

    /// The right to fetch for `application`; None when interrupted, or when the process is to stop.
    pub(crate) async fn turn(
        &self,
        application: &ApplicationName,
        interrupted: &CancellationToken,
    ) -> Option<Turn> {
        tokio::select! {
            biased;
            () = interrupted.cancelled() => None,
            () = self.soft_stop.cancelled() => None,
            turn = self.turns.of(application) => turn.ok(),
        }
    }

    fn subscription(&self) -> Subscription {
        Subscription {
            topic: self.announce.topic.clone(),
            group: self.announce.group.clone(),
            wanted: (SERVICE_HEADER.to_owned(), self.announce.consume_service.clone()),
            most_under_way: self.settings.most_under_way,
        }
    }

    async fn consume(self: &Arc<Self>, mut consumer: Consumer) -> Result<(), KafkaFailure> {
        let (mut under_way, mut tell) = (JoinSet::new(), interval(TELL_EVERY));
        let ended = loop {
            tokio::select! {
                () = self.soft_stop.cancelled() => break Ok(()),
                Some(_) = under_way.join_next() => {}
                _ = tell.tick() => {
                    self.telling.became("passed_over", consumer.take_passed_over());
                    self.telling.under_way(under_way.len());
                    self.telling.share(consumer.partitions(), consumer.lag());
                }
                taken = consumer.next() => match taken {
                    Ok((record, ticket)) => drop(under_way.spawn(Arc::clone(self).handle(record, ticket))),
                    Err(error) => break Err(error),
                },
            }
        };
        // What is being fetched may come to its end; the hard stop ends it before.
        while under_way.join_next().await.is_some() {}
        self.telling.became("passed_over", consumer.take_passed_over());
        self.telling.under_way(0);
        self.telling.share(0, 0);
        consumer.leave().await;
        ended
    }
}
