//! How to reach Postgres.

use domain::{Period, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Section `[database]`: PostgreSQL, where everything but the exported bytes is kept.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Connection URL, `postgres://user:password@host:port/database`. TLS is asked for by its parameters:
    /// `?sslmode=verify-full&sslrootcert=/path/ca.pem` (`sslcert` and `sslkey` for a client certificate).
    /// Encryption by Kerberos is not tried unless `gssencmode` asks for it.
    #[serde(deserialize_with = "crate::url::deserialize")]
    pub url: Secret,
    /// Most connections of this process.
    pub pool_size: u32,
    /// How long a request waits for a free connection before it is answered 503.
    pub pool_wait: Period,
    /// How long connecting may take.
    pub connect_timeout: Period,
    /// How long one statement may run before Postgres cancels it.
    pub statement_timeout: Period,
    /// How long a statement may wait for a lock.
    pub lock_timeout: Period,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: Secret::from("postgres://localhost/exports"),
            pool_size: 16,
            pool_wait: Period::from_millis(500),
            connect_timeout: Period::from_secs(3),
            statement_timeout: Period::from_secs(10),
            lock_timeout: Period::from_secs(3),
        }
    }
}
