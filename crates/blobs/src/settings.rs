//! Where the objects are, and how much memory and patience moving them may take.

use std::path::PathBuf;

use domain::{ByteSize, Period, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Section `[object_store]`: where the exported bytes are kept.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Which store: `local` (a folder of this machine), `s3` (Amazon S3 and what speaks its protocol),
    /// `azure` (Azure Blob Storage) or `gcs` (Google Cloud Storage). The section of that name says more.
    pub kind: Kind,
    /// Folder inside the bucket, container or directory below which all objects lie; empty for none.
    /// Letters, digits, `-` and `/`. Several installations may share a bucket, each with its own prefix.
    pub prefix: String,
    /// How long connecting to the store may take.
    pub connect_timeout: Period,
    /// How long one request that stores may take in all: a part of an upload has at most 15 MiB.
    pub request_timeout: Period,
    /// How long the answer to any other request, or the next bytes of an object, may be waited for.
    pub stall_timeout: Period,
    /// How often a failed request is sent again, at growing distances from 100 ms on.
    pub max_retries: u32,
    /// Memory that all uploads of this process together may hold. An upload needs 8 MiB to run and takes up
    /// to 22 MiB while there is enough; further ones wait their turn. At least 24 MiB.
    pub upload_memory: ByteSize,
    /// How long an upload waits for its turn before it is answered 503.
    pub upload_wait: Period,
    /// How many parts of one upload are sent at the same time.
    pub parts_in_flight: usize,
    /// How many threads of this process compress; 0 for one per core.
    pub compression_threads: usize,
    /// PEM file with certificates to trust besides the system's, for a store with a private authority.
    pub ca_file: Option<PathBuf>,
    /// For `kind = "local"`.
    pub local: LocalSettings,
    /// For `kind = "s3"`.
    pub s3: S3Settings,
    /// For `kind = "azure"`.
    pub azure: AzureSettings,
    /// For `kind = "gcs"`.
    pub gcs: GcsSettings,
}

/// A kind of object storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A folder of this machine. Every replica of a service must see the same folder.
    #[default]
    Local,
    /// Amazon S3, or a server that speaks its protocol.
    S3,
    /// Azure Blob Storage.
    Azure,
    /// Google Cloud Storage.
    Gcs,
}

/// Section `[object_store.local]`: objects as files. Each is on disk (`fsync`) before it counts as stored.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LocalSettings {
    /// The folder; made when it is missing.
    pub directory: PathBuf,
}

/// Section `[object_store.s3]`. Without keys here the usual chain is asked: `AWS_ACCESS_KEY_ID` and
/// `AWS_SECRET_ACCESS_KEY`, a web identity token (EKS), container credentials (ECS), the instance's role.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct S3Settings {
    /// The bucket; it must exist.
    pub bucket: String,
    /// The region; without it `AWS_REGION` or `us-east-1`.
    pub region: Option<String>,
    /// URL of the server, without the bucket; without it Amazon's for the region.
    pub endpoint: Option<String>,
    /// Access key; goes with `secret_access_key`.
    pub access_key_id: Option<String>,
    /// Secret of the access key.
    pub secret_access_key: Option<Secret>,
    /// Session token, when the keys are temporary ones.
    pub session_token: Option<Secret>,
    /// `true`: the bucket is the first segment of the path; `false`: it is part of the host name.
    pub path_style: bool,
    /// Accept an endpoint with `http:`: bytes and signatures then travel in the clear.
    pub allow_http: bool,
    /// Sign the SHA-256 of each part, so that the store refuses one that was changed on the way.
    pub sign_payload: bool,
}

/// Section `[object_store.azure]`. Without a key here the usual chain is asked: `AZURE_STORAGE_…`
/// variables, workload identity, managed identity.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AzureSettings {
    /// The storage account.
    pub account: String,
    /// The container; it must exist.
    pub container: String,
    /// Access key of the account, base64.
    pub access_key: Option<Secret>,
    /// URL of the server; without it Azure's for the account.
    pub endpoint: Option<String>,
    /// The server is the Azurite emulator, on `AZURITE_BLOB_STORAGE_URL` or its usual port.
    pub use_emulator: bool,
    /// Accept an endpoint with `http:`: bytes and signatures then travel in the clear.
    pub allow_http: bool,
}

/// Section `[object_store.gcs]`. Without a key here the application default credentials are used:
/// `GOOGLE_APPLICATION_CREDENTIALS`, the workload's or the instance's identity.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GcsSettings {
    /// The bucket; it must exist.
    pub bucket: String,
    /// JSON file with the key of a service account.
    pub service_account_file: Option<PathBuf>,
    /// The same key as text.
    pub service_account_key: Option<Secret>,
    /// URL of the server; without it Google's.
    pub endpoint: Option<String>,
    /// Accept an endpoint with `http:`: bytes and tokens then travel in the clear.
    pub allow_http: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            kind: Kind::Local,
            prefix: String::new(),
            connect_timeout: Period::from_secs(1),
            request_timeout: Period::from_secs(30),
            stall_timeout: Period::from_secs(10),
            max_retries: 2,
            upload_memory: ByteSize::from_mib(256),
            upload_wait: Period::from_secs(30),
            parts_in_flight: 2,
            compression_threads: 0,
            ca_file: None,
            local: LocalSettings::default(),
            s3: S3Settings::default(),
            azure: AzureSettings::default(),
            gcs: GcsSettings::default(),
        }
    }
}

impl Default for LocalSettings {
    fn default() -> Self {
        Self { directory: ".data/objects".into() }
    }
}

impl Default for S3Settings {
    fn default() -> Self {
        Self {
            bucket: String::new(),
            region: None,
            endpoint: None,
            access_key_id: None,
            secret_access_key: None,
            session_token: None,
            path_style: true,
            allow_http: false,
            sign_payload: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_described_by_its_section() {
        let settings: Settings = toml::from_str(
            "kind = 's3'\nprefix = 'eu/exports'\nupload_memory = '1GiB'\n\
             [s3]\nbucket = 'exports'\nendpoint = 'https://s3.example.org'\naccess_key_id = 'key'\n\
             secret_access_key = 'hunter2'",
        )
        .unwrap();
        assert_eq!(settings.kind, Kind::S3);
        assert_eq!(settings.s3.bucket, "exports");
        assert!(settings.s3.path_style && settings.s3.sign_payload && !settings.s3.allow_http);
        assert!(!format!("{settings:?}").contains("hunter2"));
    }

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(toml::from_str::<Settings>("bukket = 'exports'").is_err());
        assert!(toml::from_str::<Settings>("[s3]\nbukket = 'exports'").is_err());
        assert!(toml::from_str::<Settings>("kind = 'ftp'").is_err());
    }
}
