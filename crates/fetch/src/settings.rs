//! How far fetching may go.

use std::path::PathBuf;

use domain::{ByteSize, Period};
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Limits on what is fetched from others.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FetchSettings {
    /// Whether `http://` may be fetched too: what comes that way can be read and changed on its way.
    pub allow_http: bool,
    /// Networks that may be fetched from although they are not public, such as `10.20.0.0/16`.
    #[schemars(with = "Vec<String>")]
    pub allow_networks: Vec<IpNet>,
    /// PEM file of authorities that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
    /// How long a connection may take to be there.
    pub connect_timeout: Period,
    /// How long an answer may take to begin.
    pub answer_timeout: Period,
    /// How long nothing may come.
    pub idle_timeout: Period,
    /// Least bytes a second, on average from the tenth second on. 0 switches it off.
    pub min_bytes_per_second: ByteSize,
    /// How long a fetch may take as a whole.
    pub timeout: Period,
}

impl Default for FetchSettings {
    fn default() -> Self {
        Self {
            allow_http: false,
            allow_networks: Vec::new(),
            ca_file: None,
            connect_timeout: Period::from_secs(5),
            answer_timeout: Period::from_secs(30),
            idle_timeout: Period::from_secs(30),
            min_bytes_per_second: ByteSize::from_kib(1),
            timeout: Period::from_secs(6 * 60 * 60),
        }
    }
}
