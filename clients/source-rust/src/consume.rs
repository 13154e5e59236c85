//! From records to answers: each request once, several at a time, commits behind the answers.

use std::{collections::HashMap, sync::Arc, time::Duration};

use rdkafka::{
    Message as _,
    consumer::Consumer as _,
    error::KafkaError,
    message::{BorrowedMessage, Headers as _},
};
use tokio::{
    task::{JoinError, JoinSet},
    time::{MissedTickBehavior, interval, timeout},
};
use tracing::Instrument as _;

use crate::{
    Answer, Error, Metrics, Refusal, Request, Settings,
    deliver::Deliveries,
    kafka::{self, Consumer},
    offsets::Place,
    request::Undecodable,
    seen::Seen,
    waiting::{Waiting, Wanted},
};

/// How often what is done is handed to the Kafka client.
const STORE_EVERY: Duration = Duration::from_millis(250);

/// Headers of a record say whom it is for, so that the others' need not be decoded (S0-52).
const APPLICATION_HEADER: &str = "application";

/// The consuming of one source.
pub(crate) struct Consumption<F> {
    consumer: Arc<Consumer>,
    deliveries: Arc<Deliveries<F>>,
    metrics: Metrics,
    application: String,
    parallel: usize,
    stop_grace: Duration,
    /// Where the requests that are being answered, or wait for it, lie; by event id. Copies lie at several places.
    open: HashMap<String, Vec<Place>>,
    waiting: Waiting,
    /// Each ends with the event id of what it answered, if it did.
    running: JoinSet<Option<String>>,
    answered: Seen,
    paused: bool,
    /// In a partition that was just assigned and is not paused as the others are.
    came_while_paused: bool,
}

impl<F, Fut> Consumption<F>
where
    F: Fn(Request) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Answer, Refusal>> + Send,
{
    pub(crate) fn start(
        settings: &Settings,
        deliveries: Arc<Deliveries<F>>,
        metrics: Metrics,
    ) -> Result<Self, Error> {
        tracing::info!(topic = settings.topic, application = settings.application, "waiting for requests");
        Ok(Self {
            consumer: kafka::consumer(settings)?,
            deliveries,
            metrics,
            application: settings.application.clone(),
            parallel: settings.parallel.max(1),
            stop_grace: settings.stop_grace,
            open: HashMap::new(),
            waiting: Waiting::default(),
            running: JoinSet::new(),
            answered: Seen::default(),
            paused: false,
            came_while_paused: false,
        })
    }

    /// Answers requests until `stop`.
    pub(crate) async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), Error> {
        let consumed = self.consume(stop).await;
        self.deliveries.stop();
        let ending = self.running.len();
        if ending > 0 {
            tracing::info!(answers = ending, "waiting for answers that are under way");
        }
        if timeout(self.stop_grace, self.finish_running()).await.is_err() {
            tracing::warn!(answers = self.running.len(), "answers are given up; they are asked again");
        }
        self.running.shutdown().await;
        self.deliveries.end_unfinished().await;
        let clean = kafka::leave(self.consumer).await;
        tracing::info!(clean, "stopped");
        consumed
    }

    async fn consume(&mut self, stop: impl Future<Output = ()>) -> Result<(), Error> {
        let consumer = Arc::clone(&self.consumer);
        let mut storing = interval(STORE_EVERY);
        storing.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::pin!(stop);
        loop {
            // Also polled while nothing more is taken: otherwise the group would hold this consumer for dead.
            tokio::select! {
                biased;
                () = &mut stop => return Ok(()),
                Some(ended) = self.running.join_next() => self.end(ended),
                _ = storing.tick() => kafka::store_done(&consumer),
                message = consumer.recv() => match message {
                    Ok(message) => self.take(&message),
                    Err(error) => self.note(error)?,
                },
            }
            self.start_waiting();
            self.pause_or_resume();
        }
    }

    /// Waits for the answers that are under way. Meanwhile the consumer keeps its place in the group, so that they
    /// can be committed; what it brings is for the next that is assigned the partition.
    async fn finish_running(&mut self) {
        let consumer = Arc::clone(&self.consumer);
        let mut storing = interval(STORE_EVERY);
        let mut in_group = true;
        if let Err(error) = kafka::pause(&consumer) {
            tracing::debug!(%error, "not paused");
        }
        loop {
            tokio::select! {
                biased;
                ended = self.running.join_next() => match ended {
                    Some(ended) => self.end(ended),
                    None => return,
                },
                _ = storing.tick() => kafka::store_done(&consumer),
                message = consumer.recv(), if in_group => {
                    in_group = message.map_or_else(|error| self.note(error).is_ok(), |_| true);
                }
            }
        }
    }

    fn take(&mut self, message: &BorrowedMessage<'_>) {
        let place = Place { partition: message.partition(), offset: message.offset() };
        if header(message).is_some_and(|application| application != self.application.as_bytes()) {
            self.metrics.passed_over();
            return self.consumer.context().offsets().pass(place);
        }
        let bytes = message.payload_len();
        let wanted = match Request::decode(message.payload().unwrap_or_default()) {
            Ok(request) => Wanted { request, broken: None, bytes },
            Err(Undecodable::Format(request)) => {
                let broken = Some(Refusal::new(400, "the format is not supported; there are: json, csv"));
                Wanted { request: *request, broken, bytes }
            }
            Err(Undecodable::NotARequest(reason)) => {
                let Place { partition, offset } = place;
                tracing::error!(partition, offset, reason, "a record that nobody can be answered for");
                self.metrics.undecodable();
                return self.consumer.context().offsets().pass(place);
            }
        };
        if wanted.request.application != self.application {
            self.metrics.passed_over();
            return self.consumer.context().offsets().pass(place);
        }
        self.want(wanted, place);
    }

    /// Queues a request, unless it was answered or is being answered.
    fn want(&mut self, wanted: Wanted, place: Place) {
        let event_id = &wanted.request.event_id;
        if self.answered.contains(event_id) {
            self.metrics.duplicate();
            return self.consumer.context().offsets().pass(place);
        }
        self.consumer.context().offsets().open(place);
        if let Some(places) = self.open.get_mut(event_id) {
            self.metrics.duplicate();
            places.push(place);
            return;
        }
        self.open.insert(event_id.clone(), vec![place]);
        self.waiting.push(wanted);
        self.came_while_paused |= self.paused;
    }

    /// The next request whose partition is still ours.
    fn next_waiting(&mut self) -> Option<Wanted> {
        loop {
            let wanted = self.waiting.pop()?;
            let event_id = &wanted.request.event_id;
            let offsets = self.consumer.context().offsets();
            let places = self.open.get(event_id).map_or(&[][..], Vec::as_slice);
            if places.iter().any(|place| offsets.is_open(*place)) {
                return Some(wanted);
            }
            // Another consumer is asked by now.
            drop(offsets);
            self.open.remove(event_id);
        }
    }

    fn start_waiting(&mut self) {
        while self.running.len() < self.parallel
            && let Some(Wanted { request, broken, .. }) = self.next_waiting()
        {
            let deliveries = Arc::clone(&self.deliveries);
            let span = tracing::info_span!(
                "request",
                event.id = request.event_id,
                export.id = %request.export,
                source.id = %request.id,
                resource = request.resource
            );
            let answering =
                async move { deliveries.deliver(&request, broken).await.ok().map(|_| request.event_id) };
            self.running.spawn(answering.instrument(span));
        }
        self.metrics.running(self.running.len());
    }

    fn end(&mut self, ended: Result<Option<String>, JoinError>) {
        self.metrics.running(self.running.len());
        match ended {
            Ok(Some(event_id)) => {
                let places = self.open.remove(&event_id).unwrap_or_default();
                let mut offsets = self.consumer.context().offsets();
                for place in places {
                    offsets.done(place);
                }
                drop(offsets);
                self.answered.insert(event_id);
            }
            Ok(None) => tracing::info!("an answer is given up; it is asked again"),
            // What the function does wrong is caught before. Not committed: asked again after the next start.
            Err(error) => tracing::error!(%error, "an answer ended in a way it must not"),
        }
    }

    /// Takes nothing more while enough is waiting.
    fn pause_or_resume(&mut self) {
        let full = self.waiting.is_full(self.paused);
        if full == self.paused && !self.came_while_paused {
            return;
        }
        match if full { kafka::pause(&self.consumer) } else { kafka::resume(&self.consumer) } {
            Ok(()) => (self.paused, self.came_while_paused) = (full, false),
            Err(error) => tracing::debug!(%error, "not paused or resumed"),
        }
    }

    /// What the Kafka client says. It goes on by itself, but for a fatal error.
    fn note(&self, error: KafkaError) -> Result<(), Error> {
        if let Some((code, reason)) = self.consumer.client().fatal_error() {
            tracing::error!(%code, reason, "the Kafka client cannot go on");
            return Err(Error::Kafka(error));
        }
        tracing::warn!(%error, "Kafka");
        Ok(())
    }
}

fn header<'a>(message: &'a BorrowedMessage<'_>) -> Option<&'a [u8]> {
    let headers = message.headers()?;
    headers.iter().find(|header| header.key == APPLICATION_HEADER).and_then(|header| header.value)
}

#[cfg(test)]
mod tests;
