//! What the internal API is set up with.

use std::net::{Ipv4Addr, SocketAddr};

use access::Applications;
use domain::{ByteSize, Period};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use service::{ServiceSettings, http::HttpSettings};

/// The sections that the internal API reads.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where exports are kept.
    pub database: store::Settings,
    /// Where their bytes go.
    pub object_store: blobs::Settings,
    /// Who may deliver.
    pub applications: Applications,
    /// The source applications' API.
    pub internal_api: InternalApiSettings,
}

impl ServiceSettings for Settings {
    fn ops_listen(&self) -> SocketAddr {
        self.internal_api.ops_listen
    }
}

/// Section `[internal_api]`.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InternalApiSettings {
    /// Where source applications are served.
    pub listen: SocketAddr,
    /// Where probes and metrics are served.
    pub ops_listen: SocketAddr,
    /// The HTTP server.
    pub http: HttpSettings,
    /// Largest upload, counted before compression, of applications that have no limit of their own.
    pub max_upload_bytes: ByteSize,
    /// How an upload for a source that was answered otherwise is refused: 410, or 400 for clients that know
    /// only that.
    pub duplicate_upload_status: DuplicateUploadStatus,
    /// How long an upload may go on without a sign of life of this process before its bytes are removed.
    pub upload_lease: Period,
}

/// See [`InternalApiSettings::duplicate_upload_status`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum DuplicateUploadStatus {
    /// 410, as the contract has it.
    #[default]
    #[serde(rename = "410")]
    Gone,
    /// 400.
    #[serde(rename = "400")]
    BadRequest,
}

impl Default for InternalApiSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8081)),
            ops_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9002)),
            http: HttpSettings::default(),
            max_upload_bytes: ByteSize::from_mib(500),
            duplicate_upload_status: DuplicateUploadStatus::default(),
            upload_lease: Period::from_secs(60),
        }
    }
}
