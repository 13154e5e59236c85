//! How an HTTP server behaves towards its clients.

use domain::{ByteSize, Period};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BodyLimits, CorsSettings};

/// Connections, timeouts and sizes of an HTTP server.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HttpSettings {
    /// Threads that serve requests; without it, one per core.
    pub workers: Option<usize>,
    /// Most open connections per thread; further ones wait to be accepted.
    pub max_connections: usize,
    /// How long a connection may wait for its next request.
    pub keep_alive: Period,
    /// How long the head of a request may take to arrive; then 408.
    pub head_timeout: Period,
    /// How long a client may take to go on reading the answer after its request was refused half-read.
    pub disconnect_timeout: Period,
    /// How long a client may take nothing of an answer that waits to be sent; then the connection is broken.
    /// It needs Linux.
    pub stall_timeout: Period,
    /// Largest head of a request: path, names and values of headers together; beyond it 431.
    pub max_head_size: ByteSize,
    /// Limits on bodies of requests.
    pub body: BodyLimits,
    /// Which web pages of other origins may call.
    pub cors: CorsSettings,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            workers: None,
            max_connections: 10_000,
            keep_alive: Period::from_secs(75),
            head_timeout: Period::from_secs(10),
            disconnect_timeout: Period::from_secs(5),
            stall_timeout: Period::from_secs(60),
            max_head_size: ByteSize::from_kib(32),
            body: BodyLimits::default(),
            cors: CorsSettings::default(),
        }
    }
}
