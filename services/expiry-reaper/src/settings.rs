//! What the expiry-reaper is set up with.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
};

use domain::Period;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use service::ServiceSettings;

/// The sections that the expiry-reaper reads.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where exports are kept.
    pub database: store::Settings,
    /// Where their bytes are.
    pub object_store: blobs::Settings,
    /// What deletes all that is due.
    pub expiry_reaper: ExpiryReaperSettings,
}

impl ServiceSettings for Settings {
    fn ops_listen(&self) -> SocketAddr {
        self.expiry_reaper.ops_listen
    }
}

/// Settings with which nothing would ever be deleted, in silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EmptyBatch;

impl fmt::Display for EmptyBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expiry_reaper.batch must be at least 1: else nothing is ever deleted")
    }
}

impl std::error::Error for EmptyBatch {}

impl Settings {
    /// Whether a batch holds anything.
    pub(crate) fn check_batch(&self) -> Result<(), EmptyBatch> {
        if self.expiry_reaper.batch == 0 { Err(EmptyBatch) } else { Ok(()) }
    }
}

/// Section `[expiry_reaper]`.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExpiryReaperSettings {
    /// Where probes and metrics are served.
    pub ops_listen: SocketAddr,
    /// Whether it only tells what it would do.
    pub dry_run: bool,
    /// How often it looks for what is due.
    pub poll: Period,
    /// How long objects stay after expiry or deletion, so that downloads under way can finish.
    pub grace: Period,
    /// How long an expired export is still listed after its objects went.
    pub retention: Period,
    /// How often object storage is compared with the database.
    pub sweep_every: Period,
    /// How old an object without a row must be to be deleted.
    pub orphan_min_age: Period,
    /// Most exports or objects dealt with in one transaction.
    pub batch: u32,
    /// How long a batch of objects may take to be deleted; what was not deleted by then is tried again.
    pub lease: Period,
}

impl Default for ExpiryReaperSettings {
    fn default() -> Self {
        Self {
            ops_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9004)),
            dry_run: false,
            poll: Period::from_secs(10),
            grace: Period::from_secs(15 * 60),
            retention: Period::from_secs(30 * 24 * 3600),
            sweep_every: Period::from_secs(6 * 3600),
            orphan_min_age: Period::from_secs(24 * 3600),
            batch: 200,
            lease: Period::from_secs(2 * 60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_of_nothing_is_refused() {
        let mut settings = Settings::default();
        assert_eq!(settings.check_batch(), Ok(()));
        settings.expiry_reaper.batch = 0;
        assert_eq!(settings.check_batch(), Err(EmptyBatch));
    }
}
