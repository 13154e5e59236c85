//! How to reach Kafka.

use std::{collections::BTreeMap, path::PathBuf};

use domain::{Period, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Section `[kafka]`: the brokers, and how to speak to them.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KafkaSettings {
    /// Brokers to begin with, `host:port`, separated by commas. The others are learned from them.
    pub brokers: String,
    /// The name under which the brokers' logs and quotas know this client.
    pub client_id: String,
    /// How connections are secured: `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`.
    pub security_protocol: SecurityProtocol,
    /// With `SASL_…`: `PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512` or `OAUTHBEARER`.
    pub sasl_mechanism: Option<SaslMechanism>,
    /// User name for `PLAIN` and `SCRAM-…`; for `OAUTHBEARER` the principal's name.
    pub username: Option<String>,
    /// Password for `PLAIN` and `SCRAM-…`.
    pub password: Option<Secret>,
    /// File with the access token for `OAUTHBEARER`. It is read again every minute, so that whoever
    /// renews the token only has to replace the file.
    pub token_file: Option<PathBuf>,
    /// PEM file of the authorities that sign the brokers' certificates; the system's when not given.
    pub ca_file: Option<PathBuf>,
    /// PEM file of this client's certificate, for brokers that ask for one.
    pub certificate_file: Option<PathBuf>,
    /// PEM file of the key of `certificate_file`.
    pub key_file: Option<PathBuf>,
    /// Password of `key_file`, when it is encrypted.
    pub key_password: Option<Secret>,
    /// How long a record may wait for the brokers' acknowledgement before it is reported as not sent; also
    /// how long the brokers may take to make a topic. A lease on records to send must last at least three times as long.
    pub message_timeout: Period,
    /// How long records are held back to be sent together. Records that arrive while others are under
    /// way are sent together in any case, so that zero costs nothing under load.
    pub linger: Period,
    /// How batches are compressed: `none`, `gzip`, `snappy`, `lz4` or `zstd`. Every consumer must know it.
    pub compression: Compression,
    /// Further properties of librdkafka, by their names there, for instance `client.rack`. Those that the
    /// order or the delivery of records rests on are refused.
    pub properties: BTreeMap<String, Secret>,
}

impl Default for KafkaSettings {
    fn default() -> Self {
        Self {
            brokers: "localhost:9092".to_owned(),
            client_id: "exports".to_owned(),
            security_protocol: SecurityProtocol::Plaintext,
            sasl_mechanism: None,
            username: None,
            password: None,
            token_file: None,
            ca_file: None,
            certificate_file: None,
            key_file: None,
            key_password: None,
            message_timeout: Period::from_secs(10),
            linger: Period::from_millis(0),
            compression: Compression::Lz4,
            properties: BTreeMap::new(),
        }
    }
}

/// How a connection to a broker is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SecurityProtocol {
    /// Neither TLS nor a login.
    Plaintext,
    /// TLS.
    Ssl,
    /// A login without TLS.
    SaslPlaintext,
    /// A login over TLS.
    SaslSsl,
}

impl SecurityProtocol {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::Ssl => "ssl",
            Self::SaslPlaintext => "sasl_plaintext",
            Self::SaslSsl => "sasl_ssl",
        }
    }

    pub(crate) const fn logs_in(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }
}

/// How a client logs in to a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SaslMechanism {
    /// User name and password as they are.
    #[serde(rename = "PLAIN")]
    Plain,
    /// Challenge and response with SHA-256.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// Challenge and response with SHA-512.
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
    /// An access token.
    #[serde(rename = "OAUTHBEARER")]
    OauthBearer,
}

impl SaslMechanism {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::OauthBearer => "OAUTHBEARER",
        }
    }
}

/// How a batch of records is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// Snappy.
    Snappy,
    /// LZ4.
    Lz4,
    /// Zstandard.
    Zstd,
}

impl Compression {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}
