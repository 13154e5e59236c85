//! What the public API is set up with.

use std::{
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroU32,
};

use bus::EventSettings;
use domain::{Asking, ByteSize, CreateLimits, KeyHash, Period};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use service::{
    ServiceSettings,
    http::{HttpSettings, RateLimitSettings},
};

/// The sections that the public API reads.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// PostgreSQL, where everything but the exported bytes is kept.
    pub database: store::Settings,
    /// Where the exported bytes are kept.
    pub object_store: blobs::Settings,
    /// What request events look like.
    pub events: EventSettings,
    /// The customers' API.
    pub public_api: PublicApiSettings,
}

impl ServiceSettings for Settings {
    fn ops_listen(&self) -> SocketAddr {
        self.public_api.ops_listen
    }
}

/// Section `[public_api]`.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PublicApiSettings {
    /// Where customers are served. The x-rh-identity header is trusted: nobody but the gateway that sets it
    /// may reach this address.
    pub listen: SocketAddr,
    /// Where probes and metrics are served.
    pub ops_listen: SocketAddr,
    /// The HTTP server.
    pub http: HttpSettings,
    /// Limit on the calls of one caller.
    pub rate_limit: RateLimitSettings,
    /// SHA-256 of the keys with which services call on behalf of customers, in x-rh-exports-psk beside
    /// x-rh-identity. Without any, that header is refused.
    pub service_keys_sha256: Vec<KeyHash>,
    /// Largest body of a create request.
    pub max_body_size: ByteSize,
    /// Most sources of one export.
    pub max_sources: usize,
    /// How long an export lives when the customer does not say.
    pub default_lifetime: Period,
    /// Whether an `expires_at` in the past is refused.
    pub refuse_past_expiry: bool,
    /// How long a source may take to answer before it fails, counted from when it is asked first, where the registry
    /// of applications does not say it.
    pub answer_within: Period,
    /// How often a source is asked within that time, the first time included, where the registry does not say it. Each
    /// wait is twice as long as the one before.
    pub max_tries: NonZeroU32,
}

/// Of a day: at once, after three and a half hours, and after ten.
const DEFAULT_TRIES: NonZeroU32 = NonZeroU32::MIN.saturating_add(2);

impl Default for PublicApiSettings {
    fn default() -> Self {
        let limits = CreateLimits::default();
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            ops_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9001)),
            http: HttpSettings::default(),
            rate_limit: RateLimitSettings::default(),
            service_keys_sha256: Vec::new(),
            max_body_size: ByteSize::from_kib(256),
            max_sources: limits.max_sources,
            default_lifetime: Period::from_secs(7 * 24 * 3600),
            refuse_past_expiry: limits.refuse_past_expiry,
            answer_within: Period::from_secs(24 * 3600),
            max_tries: DEFAULT_TRIES,
        }
    }
}

impl PublicApiSettings {
    /// How sources are asked of which the registry does not say it.
    pub(crate) fn asking(&self) -> Asking {
        Asking { answer_within: self.answer_within, max_tries: self.max_tries.get() }
    }

    /// The limits on create requests.
    pub(crate) fn create_limits(&self) -> CreateLimits {
        CreateLimits {
            max_sources: self.max_sources,
            default_lifetime: self.default_lifetime.as_time_delta(),
            refuse_past_expiry: self.refuse_past_expiry,
        }
    }
}
