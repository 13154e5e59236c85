//! Sending records, with a report on each of them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use domain::{ByteSize, Record};
use rdkafka::ClientConfig;
use tokio::{
    sync::Mutex,
    task,
    time::{Instant, timeout},
};
use tokio_util::task::TaskTracker;

use crate::{
    client::Context,
    client_config::InvalidKafkaSettings,
    error::{CheckError, KafkaFailure, SendError, Unavailable},
    generation::Generation,
    health::Health,
    producer_config::producer_config,
    reports::Reports,
    settings::KafkaSettings,
    steps::Steps,
};

/// How long [`Producer::close`] waits for the client's threads: less than the two seconds that a service has at
/// least for its end, so that there is time to say that they do not end.
const CLOSE_GRACE: Duration = Duration::from_millis(1500);

/// Sends records to Kafka. Clones share one connection.
///
/// **Order.** Records with the same topic and key are stored in the order in which they are handed over:
/// of a key's records always the first ones are stored, never a later one without those before it. So a
/// caller that sends the failed ones again, in their order, keeps the order as a whole, provided that it
/// does not send records of one key from two calls at the same time. A rejected record counts as gone:
/// the later ones are stored without it.
///
/// **Recovery.** After a fatal error, and after a record that was not acknowledged in time, the client is
/// given up with everything that it holds, and the next call starts a new one. Records may be stored
/// twice then; consumers tell by the event's id.
///
/// How both are reached, and what was found on the way, is in `docs/decisions/0004-order-of-events.md`.
#[derive(Clone)]
pub struct Producer {
    inner: Arc<Inner>,
}

struct Inner {
    context: Context,
    config: ClientConfig,
    /// As `config`, but a rejected record does not end the client.
    config_one_by_one: ClientConfig,
    message_timeout: Duration,
    /// None once the producer is closed.
    current: Mutex<Option<Arc<Generation>>>,
    clients: TaskTracker,
    restarts: AtomicU64,
    health: Health,
}

impl Producer {
    /// A producer for records of at most `max_message_bytes`, which must not be more than the smallest
    /// `max.message.bytes` of its topics. It does not wait for a broker: that is [`Producer::check`].
    ///
    /// # Errors
    /// [`InvalidKafkaSettings`] when the settings cannot be used.
    pub fn new(settings: &KafkaSettings, max_message_bytes: ByteSize) -> Result<Self, InvalidKafkaSettings> {
        let config = producer_config(settings, max_message_bytes)?;
        let mut config_one_by_one = config.clone();
        config_one_by_one.set("enable.gapless.guarantee", "false");
        let context = Context::new(settings);
        let clients = TaskTracker::new();
        let first = Generation::start(&config, context.clone(), clients.token())
            .map_err(|error| InvalidKafkaSettings::Refused(KafkaFailure::from(error).to_string()))?;
        Ok(Self {
            inner: Arc::new(Inner {
                context,
                config,
                config_one_by_one,
                message_timeout: settings.message_timeout.as_duration(),
                current: Mutex::new(Some(Arc::new(first))),
                clients,
                restarts: AtomicU64::new(0),
                health: Health::default(),
            }),
        })
    }

    /// Sends `records` and returns when there is a report on each: `Ok` once the brokers have stored it
    /// on all in-sync replicas. The results are in the order of the records. This takes at most
    /// `message_timeout` and a short grace. A few hundred records a call are a good size.
    ///
    /// Dropping the future gives up what was not reported yet.
    pub async fn send_all(&self, records: &[Record]) -> Vec<Result<(), SendError>> {
        let deadline = Instant::now() + self.inner.message_timeout;
        let mut steps = Steps::new(records);
        let mut last = None;
        loop {
            let generation = match self.current().await {
                Ok(_) if Instant::now() >= deadline => {
                    steps.give_up(&SendError::Unavailable(Unavailable::TimedOut(self.inner.message_timeout)));
                    break;
                }
                Ok(generation) => generation,
                Err(error) => {
                    steps.give_up(&error);
                    break;
                }
            };
            if last.as_ref().is_some_and(|last| !Arc::ptr_eq(last, &generation)) {
                steps.client_changed();
            }
            let step = steps.next();
            if step.is_empty() {
                break;
            }
            let reports = self.send_step(&generation, records, &step, deadline).await;
            steps.settle(step.into_iter().zip(reports));
            last = Some(generation);
        }
        steps.into_results()
    }

    /// Asks the brokers whether `topic` can be written to. Questions asked together or within a second
    /// share one answer. Takes at most two seconds or so.
    ///
    /// # Errors
    /// [`CheckError`] says what is missing.
    pub async fn check(&self, topic: &str) -> Result<(), CheckError> {
        let generation = self.current().await.map_err(CheckError::Producer)?;
        self.inner.health.check(generation, topic).await
    }

    /// How often a client had to be given up and started anew.
    pub fn restarts(&self) -> u64 {
        self.inner.restarts.load(Ordering::Relaxed)
    }

    /// Gives up what was not reported yet, refuses what comes later, and waits for the client's threads
    /// to end, which they should do before the process does.
    pub async fn close(&self) {
        if let Some(generation) = self.inner.current.lock().await.take() {
            generation.abandon();
        }
        self.inner.clients.close();
        if timeout(CLOSE_GRACE, self.inner.clients.wait()).await.is_err() {
            tracing::warn!("the Kafka client did not end in time");
        }
    }

    /// The generation to send with; a new one when the last can send no more.
    async fn current(&self) -> Result<Arc<Generation>, SendError> {
        let mut current = self.inner.current.lock().await;
        match current.as_ref() {
            None => Err(SendError::Unavailable(Unavailable::Closed)),
            Some(generation) if generation.is_usable() => Ok(Arc::clone(generation)),
            Some(_) => {
                let generation = self.start(&self.inner.config).await?;
                *current = Some(Arc::clone(&generation));
                let restarts = self.inner.restarts.fetch_add(1, Ordering::Relaxed) + 1;
                tracing::info!(kafka.restarts = restarts, "a new Kafka client takes over");
                Ok(generation)
            }
        }
    }

    async fn start(&self, config: &ClientConfig) -> Result<Arc<Generation>, SendError> {
        let (config, context) = (config.clone(), self.inner.context.clone());
        let alive = self.inner.clients.token();
        match task::spawn_blocking(move || Generation::start(&config, context, alive)).await {
            Ok(Ok(generation)) => Ok(Arc::new(generation)),
            Ok(Err(error)) => Err(SendError::from_client(error)),
            Err(_) => Err(SendError::Unavailable(Unavailable::Abandoned)),
        }
    }

    /// Sends the records at the places of `step`. The brokers reject a batch as a whole, so each record
    /// of a rejected batch is only a suspect: they are sent again one after the other.
    async fn send_step(
        &self,
        generation: &Generation,
        records: &[Record],
        step: &[usize],
        deadline: Instant,
    ) -> Vec<Result<(), SendError>> {
        let step: Vec<&Record> = step.iter().map(|place| &records[*place]).collect();
        let mut reports = Reports::new(generation, deadline, self.inner.message_timeout);
        let mut results = reports.collect(&step).await;
        let suspects = reports.into_suspects();
        if !suspects.is_empty() {
            let again: Vec<&Record> = suspects.iter().map(|place| step[*place]).collect();
            for (place, result) in suspects.into_iter().zip(self.send_one_by_one(&again, deadline).await) {
                results[place] = result;
            }
        }
        results
    }

    /// Sends each record only when there is a report on the one before it, with a client that nobody else
    /// uses: a rejection is about that record alone. After the first that may yet be sent, the others
    /// wait for another call.
    async fn send_one_by_one(&self, records: &[&Record], deadline: Instant) -> Vec<Result<(), SendError>> {
        let mut results = vec![Err(SendError::Unavailable(Unavailable::Abandoned)); records.len()];
        let generation = match self.start(&self.inner.config_one_by_one).await {
            Ok(generation) => generation,
            Err(error) => return vec![Err(error); records.len()],
        };
        for (record, result) in records.iter().zip(&mut results) {
            let mut reports = Reports::new(&generation, deadline, self.inner.message_timeout);
            *result = reports.collect(&[record]).await.remove(0);
            if matches!(result, Err(error) if error.is_temporary()) {
                break;
            }
        }
        results
    }
}
