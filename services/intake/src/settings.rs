//! What intake is set up with.

use std::net::{Ipv4Addr, SocketAddr};

use bus::{AnnounceSettings, InvalidAnnounceSettings, KafkaSettings};
use domain::{ByteSize, Period, registry::LARGEST_UPLOAD};
use fetch::FetchSettings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use service::ServiceSettings;

/// The sections that intake reads.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where exports are kept.
    pub database: store::Settings,
    /// Where their bytes go.
    pub object_store: blobs::Settings,
    /// Kafka, where announcements come from.
    pub kafka: KafkaSettings,
    /// The topic of announcements.
    pub announce: AnnounceSettings,
    /// How archives are fetched and handed in.
    pub intake: IntakeSettings,
}

impl ServiceSettings for Settings {
    fn ops_listen(&self) -> SocketAddr {
        self.intake.ops_listen
    }
}

/// Section `[intake]`.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IntakeSettings {
    /// Where probes and metrics are served.
    pub ops_listen: SocketAddr,
    /// Most archives that are fetched at once.
    pub parallel: usize,
    /// Most of them that are one application's: servers that are slow keep nobody else waiting.
    pub parallel_of_application: usize,
    /// Most records of one partition that are being worked on or wait to be tried again; a partition that has so
    /// many waits.
    pub most_under_way: usize,
    /// How long an archive whose server fails is tried again.
    pub retry_for: Period,
    /// How often an archive is tried, at most.
    pub max_tries: u32,
    /// The wait after a first failure; it doubles.
    pub first_wait: Period,
    /// The longest wait between two tries.
    pub longest_wait: Period,
    /// Largest data, counted unpacked, of applications that have no limit of their own; as
    /// `internal_api.max_upload_bytes`.
    pub max_upload_bytes: ByteSize,
    /// How long a hand-in may go on without a sign of life of this process before its bytes are removed.
    pub upload_lease: Period,
    /// Where may be fetched from, and how patiently.
    pub fetch: FetchSettings,
}

impl Default for IntakeSettings {
    fn default() -> Self {
        Self {
            ops_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9005)),
            parallel: 8,
            parallel_of_application: 4,
            most_under_way: 64,
            retry_for: Period::from_secs(10 * 60),
            max_tries: 10,
            first_wait: Period::from_secs(1),
            longest_wait: Period::from_secs(60),
            max_upload_bytes: ByteSize::from_mib(500),
            upload_lease: Period::from_secs(60),
            fetch: FetchSettings::default(),
        }
    }
}

/// Settings that intake cannot work with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UnusableSettings {
    #[error(transparent)]
    Announce(#[from] InvalidAnnounceSettings),
    #[error("intake.{0} must not be 0: else nothing is ever handed in")]
    Zero(&'static str),
    #[error(
        "intake.max_upload_bytes is {0}, and must be at most {LARGEST_UPLOAD}: object storage takes no larger \
         upload"
    )]
    UploadTooLarge(ByteSize),
}

impl Settings {
    /// Whether records for us can be told from our own, and archives can be handed in at all.
    pub(crate) fn check(&self) -> Result<(), UnusableSettings> {
        self.announce.check()?;
        let own = &self.intake;
        let zeros = [
            ("parallel", own.parallel == 0),
            ("parallel_of_application", own.parallel_of_application == 0),
            ("most_under_way", own.most_under_way == 0),
            ("max_tries", own.max_tries == 0),
            ("upload_lease", own.upload_lease.as_duration().is_zero()),
        ];
        if let Some((name, _)) = zeros.into_iter().find(|(_, zero)| *zero) {
            return Err(UnusableSettings::Zero(name));
        }
        if own.max_upload_bytes > LARGEST_UPLOAD {
            return Err(UnusableSettings::UploadTooLarge(own.max_upload_bytes));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(change: impl FnOnce(&mut Settings)) -> String {
        let mut settings = Settings::default();
        change(&mut settings);
        settings.check().unwrap_err().to_string()
    }

    #[test]
    fn what_cannot_work_is_refused() {
        assert_eq!(Settings::default().check(), Ok(()));
        assert!(refusal(|all| all.announce.consume_service = "exports".to_owned()).contains("must differ"));
        assert!(refusal(|all| all.intake.parallel = 0).contains("intake.parallel must not be 0"));
        assert!(refusal(|all| all.intake.upload_lease = Period::from_secs(0)).contains("upload_lease"));
        let above = ByteSize::from_bytes(LARGEST_UPLOAD.bytes() + 1);
        assert!(refusal(|all| all.intake.max_upload_bytes = above).contains("at most"));
    }
}
