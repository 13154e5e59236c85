//! What the internal API is set up with.

use std::net::{Ipv4Addr, SocketAddr};

use access::oidc::OidcSettings;
use domain::{ByteSize, KeyHash, Period, registry::LARGEST_UPLOAD};
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
    /// Whose tokens are taken instead of keys.
    pub oidc: OidcSettings,
    /// The source applications' API.
    pub internal_api: InternalApiSettings,
}

impl ServiceSettings for Settings {
    fn ops_listen(&self) -> SocketAddr {
        self.internal_api.ops_listen
    }
}

/// Settings that uploads cannot work with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UnusableSettings {
    /// A limit above what object storage takes: such an upload would fail after hours.
    #[error(
        "internal_api.max_upload_bytes is {0}, and must be at most {LARGEST_UPLOAD}: object storage takes no \
         larger upload"
    )]
    UploadTooLarge(ByteSize),
    /// A lease that has run out before it can be renewed.
    #[error("internal_api.upload_lease must be longer than 0s: else no upload lasts")]
    NoLease,
    /// Pieces so small that there would be thousands.
    #[error("internal_api.resumable_upload_piece is {0}, and must be at least 1MiB")]
    PieceTooSmall(ByteSize),
}

impl Settings {
    /// Whether uploads can be as large as they may be, and hold their lease.
    pub(crate) fn check_uploads(&self) -> Result<(), UnusableSettings> {
        let limit = self.internal_api.max_upload_bytes;
        if limit > LARGEST_UPLOAD {
            return Err(UnusableSettings::UploadTooLarge(limit));
        }
        if self.internal_api.upload_lease.as_duration().is_zero() {
            return Err(UnusableSettings::NoLease);
        }
        let piece = self.internal_api.resumable_upload_piece;
        if piece < ByteSize::from_mib(1) {
            return Err(UnusableSettings::PieceTooSmall(piece));
        }
        Ok(())
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
    /// SHA-256 of the keys with which operators read the registry. Without any, nobody does.
    pub operator_keys_sha256: Vec<KeyHash>,
    /// Largest upload, counted before compression, of applications that have no limit of their own.
    pub max_upload_bytes: ByteSize,
    /// How an upload for a source that was answered otherwise is refused: 410, or 400 for clients that know
    /// only that.
    pub duplicate_upload_status: DuplicateUploadStatus,
    /// How long an upload may go on without a sign of life of this process before its bytes are removed.
    pub upload_lease: Period,
    /// How long a resumable upload waits for its next bytes before what it has brought is removed.
    pub resumable_upload_expiry: Period,
    /// How long after its last bytes a resumable upload counts as an answer under way. Then its source is asked again,
    /// or fails at its deadline, as if there were no upload; which may still go on, and settle it.
    pub resumable_upload_pause: Period,
    /// After so many bytes of one request to a resumable upload, before compression, what has arrived counts: a
    /// process that dies loses no more. Each such piece becomes an object of its own.
    pub resumable_upload_piece: ByteSize,
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
            operator_keys_sha256: Vec::new(),
            max_upload_bytes: ByteSize::from_mib(500),
            duplicate_upload_status: DuplicateUploadStatus::default(),
            upload_lease: Period::from_secs(60),
            resumable_upload_expiry: Period::from_secs(24 * 60 * 60),
            resumable_upload_pause: Period::from_secs(10 * 60),
            resumable_upload_piece: ByteSize::from_mib(64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uploads_larger_than_object_storage_takes_are_refused_as_a_limit() {
        let above = ByteSize::from_bytes(LARGEST_UPLOAD.bytes() + 1);
        let mut settings = Settings::default();
        assert_eq!(settings.check_uploads(), Ok(()));
        settings.internal_api.max_upload_bytes = "128GiB".parse().unwrap();
        assert_eq!(settings.check_uploads(), Ok(()));
        settings.internal_api.max_upload_bytes = above;
        let refusal = settings.check_uploads().unwrap_err().to_string();
        assert!(refusal.starts_with("internal_api.max_upload_bytes is 137438953473B, and must"), "{refusal}");
    }

    #[test]
    fn tiny_pieces_are_refused() {
        let mut settings = Settings::default();
        settings.internal_api.resumable_upload_piece = ByteSize::from_kib(1);
        assert!(matches!(settings.check_uploads(), Err(UnusableSettings::PieceTooSmall(_))));
    }

    #[test]
    fn a_lease_of_no_time_is_refused() {
        let mut settings = Settings::default();
        settings.internal_api.upload_lease = Period::from_secs(0);
        assert_eq!(settings.check_uploads(), Err(UnusableSettings::NoLease));
    }
}
