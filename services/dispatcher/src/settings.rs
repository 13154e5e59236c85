//! What the dispatcher is set up with.

use std::net::{Ipv4Addr, SocketAddr};

use bus::{AnnounceSettings, EventSettings, KafkaSettings, LifecycleEventSettings};
use domain::Period;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use service::ServiceSettings;

/// The sections that the dispatcher reads.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where the outbox is.
    pub database: store::Settings,
    /// Kafka, where requests are sent to.
    pub kafka: KafkaSettings,
    /// The topic of requests, and how large records may be.
    pub events: EventSettings,
    /// Where it is told what happens to exports.
    pub lifecycle_events: LifecycleEventSettings,
    /// How delivered data of announced applications is told of.
    pub announce: AnnounceSettings,
    /// Where that data is; URLs are signed for it.
    pub object_store: blobs::Settings,
    /// What sends requests, and ends what nobody answers.
    pub dispatcher: DispatcherSettings,
}

impl ServiceSettings for Settings {
    fn ops_listen(&self) -> SocketAddr {
        self.dispatcher.ops_listen
    }
}

/// A lease lasts at least so many times as long as a record may take to be sent: that long, the time until a
/// new client takes over, and as much again for the database and a busy machine.
const LEASE_FACTOR: u32 = 3;

/// Settings that do not go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "dispatcher.lease is {lease}, and must be at least {LEASE_FACTOR} times kafka.message_timeout, which is \
     {message_timeout}: else two dispatchers could send the same record at once"
)]
pub(crate) struct LeaseTooShort {
    lease: Period,
    message_timeout: Period,
}

impl Settings {
    /// Whether a lease outlasts the sending of what was leased.
    pub(crate) fn check_lease(&self) -> Result<(), LeaseTooShort> {
        let (lease, message_timeout) = (self.dispatcher.lease, self.kafka.message_timeout);
        if lease.as_duration() >= message_timeout.as_duration() * LEASE_FACTOR {
            Ok(())
        } else {
            Err(LeaseTooShort { lease, message_timeout })
        }
    }
}

/// Section `[dispatcher]`.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DispatcherSettings {
    /// Where probes and metrics are served.
    pub ops_listen: SocketAddr,
    /// Most records leased at once.
    pub batch: u32,
    /// How long a lease lasts; at least three times `kafka.message_timeout`, so that no record is sent by
    /// two dispatchers while the first still waits for its report.
    pub lease: Period,
    /// How often the outbox is looked at without being woken.
    pub poll: Period,
    /// After how many refusals by the broker a record is parked.
    pub max_attempts: u32,
    /// How long a refused record waits before it is tried again.
    pub retry_after: Period,
    /// How often sources are looked for that are to be asked again, or are overdue.
    pub deadline_poll: Period,
    /// How long after its deadline a source is left to an upload that is under way. Then it fails all the same, so
    /// that no application keeps a customer waiting for ever.
    pub upload_overtime: Period,
}

impl Default for DispatcherSettings {
    fn default() -> Self {
        Self {
            ops_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9003)),
            batch: 500,
            lease: Period::from_secs(60),
            poll: Period::from_secs(2),
            max_attempts: 5,
            retry_after: Period::from_secs(10),
            deadline_poll: Period::from_secs(5),
            upload_overtime: Period::from_secs(24 * 60 * 60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_that_does_not_outlast_the_sending_is_refused() {
        let mut settings = Settings::default();
        assert_eq!(settings.check_lease(), Ok(()));
        settings.kafka.message_timeout = Period::from_secs(20);
        assert_eq!(settings.check_lease(), Ok(()));
        settings.kafka.message_timeout = Period::from_millis(20_001);
        let refusal = settings.check_lease().unwrap_err().to_string();
        assert!(refusal.starts_with("dispatcher.lease is 1m, and must be at least 3 times"), "{refusal}");
    }
}
