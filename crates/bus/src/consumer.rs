//! Taking a share of a topic's records in a consumer group.
//!
//! Invariant: an offset is committed only when every record before it has had its effect, and by the member
//! that the partition belongs to.

mod assignment;
mod context;
mod ticket;

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use rdkafka::{
    Message as _,
    consumer::{CommitMode, Consumer as _, StreamConsumer},
    error::KafkaError,
    message::BorrowedMessage,
    types::RDKafkaErrorCode,
};
use tokio::{
    task,
    time::{Interval, MissedTickBehavior, interval},
};

use crate::{
    client::Context,
    client_config::InvalidKafkaSettings,
    error::{KafkaFailure, passes},
    headers,
    settings::KafkaSettings,
};

use self::{assignment::Assignments, context::GroupContext};

pub use ticket::Ticket;

/// How often offsets are committed: after a crash so much is looked at again at most.
const COMMIT_EVERY: Duration = Duration::from_secs(1);

/// How often the client says how far behind it is, in milliseconds.
const LAG_EVERY_MS: &str = "5000";

/// After so many records in a row that are passed over, other tasks have a turn.
const TURN: u32 = 256;

/// Which share of which topic is taken.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// The topic.
    pub topic: String,
    /// The group that shares it.
    pub group: String,
    /// Name and value of the header that the wanted records carry; the others are passed over.
    pub wanted: (String, String),
    /// Most records of one partition that are given out and not done yet: a partition that has so many waits.
    pub most_under_way: usize,
}

/// A record that was taken from a topic, byte for byte.
#[derive(Clone, PartialEq, Eq)]
pub struct TakenRecord {
    /// The topic.
    pub topic: String,
    /// The partition that holds it.
    pub partition: i32,
    /// Its place in the partition.
    pub offset: i64,
    /// When it was written, as Kafka says.
    pub timestamp: Option<DateTime<Utc>>,
    /// None when it has no key.
    pub key: Option<Vec<u8>>,
    /// Names and values, in their order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// None for a tombstone.
    pub payload: Option<Vec<u8>>,
}

/// Its place: the rest carries identities and signed URLs.
impl std::fmt::Debug for TakenRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}[{}]@{}", self.topic, self.partition, self.offset)
    }
}

/// A member of a consumer group.
///
/// Records of one partition may be done in any order; only what has been done without a gap is committed. Memory
/// is bounded by the records under way, however many are passed over meanwhile.
pub struct Consumer {
    /// There until it leaves.
    client: Option<StreamConsumer<GroupContext>>,
    subscription: Subscription,
    assignments: Arc<Assignments>,
    commits: Interval,
    passed_over: u64,
    troubles: Troubles,
}

/// What the client could not do since the last record came.
#[derive(Debug, Default)]
struct Troubles(Option<RDKafkaErrorCode>);

impl Troubles {
    /// Says in the log what a person has to mend, once.
    fn note(&mut self, error: &KafkaError) {
        let code = error.rdkafka_error_code();
        if passes(error) || self.0 == code {
            tracing::debug!(%error, "the Kafka consumer waits for its brokers");
        } else {
            tracing::warn!(%error, "the Kafka consumer is given no records");
            self.0 = code;
        }
    }
}

impl Consumer {
    /// Joins the group. It does not wait for a broker; partitions come in time.
    ///
    /// # Errors
    /// [`InvalidKafkaSettings`] when the settings cannot be used.
    pub fn join(settings: &KafkaSettings, subscription: Subscription) -> Result<Self, InvalidKafkaSettings> {
        let mut config = settings.client_config()?;
        config
            .set("group.id", &subscription.group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // A new group begins at the beginning: what was announced before it counts too.
            .set("auto.offset.reset", "earliest")
            // Members that come and go leave the others' work alone.
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("allow.auto.create.topics", "false")
            .set("topic.metadata.refresh.interval.ms", "30000")
            .set("statistics.interval.ms", LAG_EVERY_MS)
            // What waits here is bounded by bytes, not by a hundred thousand records.
            .set("queued.min.messages", "10000")
            .set("queued.max.messages.kbytes", "8192");
        let assignments = Arc::new(Assignments::default());
        let context =
            GroupContext::new(Context::new(settings), subscription.topic.clone(), Arc::clone(&assignments));
        let refused =
            |error: KafkaError| InvalidKafkaSettings::Refused(KafkaFailure::from(error).to_string());
        let consumer: StreamConsumer<GroupContext> = config.create_with_context(context).map_err(refused)?;
        consumer.subscribe(&[&subscription.topic]).map_err(refused)?;
        let mut commits = interval(COMMIT_EVERY);
        commits.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            client: Some(consumer),
            subscription,
            assignments,
            commits,
            passed_over: 0,
            troubles: Troubles::default(),
        })
    }

    /// The next record that is wanted, and the ticket by which it is reported done. It has to be called all the
    /// time, also while many are under way: commits, pauses and the changes of the group happen in it. Dropping
    /// its future loses nothing.
    ///
    /// # Errors
    /// [`KafkaFailure`] after which this consumer is of no use; passing troubles mend by themselves.
    pub async fn next(&mut self) -> Result<(TakenRecord, Ticket), KafkaFailure> {
        let mut in_a_row = 0_u32;
        loop {
            let Some(consumer) = &self.client else { return std::future::pending().await };
            tokio::select! {
                biased;
                _ = self.commits.tick() => self.commit(),
                () = self.assignments.room() => resume(consumer, &self.subscription, &self.assignments),
                received = consumer.recv() => match received {
                    Ok(message) => {
                        self.troubles = Troubles::default();
                        match self.take(consumer, &message) {
                            Some(taken) => return Ok(taken),
                            None => self.passed_over += 1,
                        }
                    }
                    Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) => {
                        return Err(error.into());
                    }
                    Err(error) => self.troubles.note(&error),
                },
            }
            in_a_row += 1;
            if in_a_row.is_multiple_of(TURN) {
                task::yield_now().await;
            }
        }
    }

    /// How many records were passed over since this was asked last.
    pub fn take_passed_over(&mut self) -> u64 {
        std::mem::take(&mut self.passed_over)
    }

    /// How many records of the partitions that it has are not committed, those for others and those under way among
    /// them, as it was a few seconds ago; what it has not heard of yet, as while no broker answers, is not among them.
    pub fn lag(&self) -> u64 {
        self.assignments.lag()
    }

    /// How many partitions it has now.
    pub fn partitions(&self) -> usize {
        self.assignments.count()
    }

    /// Commits what is done and leaves the group, so that others take over at once.
    pub async fn leave(mut self) {
        self.commit();
        let consumer = self.client.take();
        if task::spawn_blocking(move || drop(consumer)).await.is_err() {
            tracing::warn!("the Kafka consumer did not leave its group well");
        }
    }

    /// None when the message is not wanted.
    fn take(
        &self,
        consumer: &StreamConsumer<GroupContext>,
        message: &BorrowedMessage<'_>,
    ) -> Option<(TakenRecord, Ticket)> {
        // A message of a partition that was just given away: whoever has it now reads it too.
        let assignment = self.assignments.of(message.partition())?;
        if !is_wanted(message, &self.subscription.wanted) {
            assignment.pass(message.offset());
            return None;
        }
        if assignment.begin(message.offset()) >= self.subscription.most_under_way {
            let full = assignment::list(&self.subscription.topic, [(message.partition(), None)]);
            match consumer.pause(&full) {
                Ok(()) => assignment.paused(),
                Err(error) => tracing::warn!(%error, "a full partition was not paused"),
            }
        }
        Some((taken(message), Ticket::new(assignment, message.offset())))
    }

    fn commit(&self) {
        let Some(consumer) = &self.client else { return };
        let positions = self.assignments.to_commit(&self.subscription.topic);
        if positions.count() > 0
            && let Err(error) = consumer.commit(&positions, CommitMode::Async)
        {
            self.assignments.not_committed();
            tracing::debug!(%error, "offsets were not committed");
        }
    }
}

/// Lets paused partitions that have room go on.
fn resume(consumer: &StreamConsumer<GroupContext>, subscription: &Subscription, assignments: &Assignments) {
    let roomy = assignments.take_roomy(subscription.most_under_way);
    let roomy = assignment::list(&subscription.topic, roomy.into_iter().map(|partition| (partition, None)));
    if roomy.count() > 0
        && let Err(error) = consumer.resume(&roomy)
    {
        tracing::warn!(%error, "a partition with room does not go on");
    }
}

fn is_wanted(message: &BorrowedMessage<'_>, wanted: &(String, String)) -> bool {
    let found = headers::hold(message, &wanted.0, wanted.1.as_bytes());
    if found.is_none() {
        tracing::warn!(
            partition = message.partition(),
            offset = message.offset(),
            "a record is passed over: its headers cannot be read"
        );
    }
    found.unwrap_or(false)
}

fn taken(message: &BorrowedMessage<'_>) -> TakenRecord {
    TakenRecord {
        topic: message.topic().to_owned(),
        partition: message.partition(),
        offset: message.offset(),
        timestamp: message.timestamp().to_millis().and_then(DateTime::from_timestamp_millis),
        key: message.key().map(<[u8]>::to_vec),
        // Whether it is wanted was read there.
        headers: headers::of(message).unwrap_or_default(),
        payload: message.payload().map(<[u8]>::to_vec),
    }
}
