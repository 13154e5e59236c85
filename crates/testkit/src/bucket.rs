//! A part of the shared bucket that only one test uses.

use anyhow::Result;
use devservers::{S3Connection, TestServers};

use crate::unique_name;

/// The shared bucket with a key prefix of a test's own. A prefix and not a bucket for each test:
/// every bucket of the S3 server takes up storage volumes.
#[derive(Debug, Clone)]
pub struct TestBucket {
    /// How to reach the bucket.
    pub connection: S3Connection,
    /// What all keys of the test begin with; no slash at its end.
    pub prefix: String,
}

impl TestBucket {
    /// A new prefix that begins with `name`.
    ///
    /// # Errors
    /// When the test servers do not run.
    pub fn new(name: &str) -> Result<Self> {
        Ok(Self { connection: TestServers::find()?.s3, prefix: unique_name(name) })
    }
}
