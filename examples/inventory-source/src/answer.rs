//! Answering a request: data, or an error, until the internal API has taken it.

use std::{
    fs, io,
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use bytes::Bytes;
use futures_util::stream;
use reqwest::{Body, Client, StatusCode};
use serde_json::json;
use tokio::{sync::mpsc, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    arguments::Arguments,
    filters::{Filters, InvalidFilters},
    mounts, packages, processes,
    request::Request,
    table::Table,
    write::write_rows,
};

/// After failures, the first wait and the longest.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What to post.
enum Answer {
    Data(Table, Filters),
    Error { code: u16, message: String },
}

/// Posts answers.
#[derive(Debug, Clone)]
pub struct Answers {
    client: Client,
    base: String,
    key: String,
    application: String,
}

impl Answers {
    /// Reads the key and prepares the client.
    ///
    /// # Errors
    /// When the key file cannot be read.
    pub fn new(arguments: &Arguments) -> anyhow::Result<Self> {
        let key = fs::read_to_string(&arguments.key_file)
            .with_context(|| format!("cannot read the key file {}", arguments.key_file.display()))?;
        Ok(Self {
            client: Client::builder()
                .connect_timeout(Duration::from_secs(5))
                .read_timeout(Duration::from_mins(2))
                .build()?,
            base: format!("{}/app/export/v1", arguments.internal_url.trim_end_matches('/')),
            key: key.trim().to_owned(),
            application: arguments.application.clone(),
        })
    }

    /// Answers `request`, trying again for as long as the internal API is away. Returns once the answer was
    /// taken or refused for good; false when `stop` came first.
    pub async fn answer(&self, request: &Request, stop: &CancellationToken) -> bool {
        let mut wait = FIRST_WAIT;
        loop {
            // The rows are read anew for each try: a body that was sent halfway cannot be sent again.
            match self.post(request).await {
                Ok(status) if !is_temporary(status) => {
                    tracing::info!(export = request.export_request_uuid, resource = request.resource, %status, "answered");
                    return true;
                }
                Ok(status) => tracing::warn!(%status, "not taken, trying again in {wait:?}"),
                Err(error) => {
                    tracing::warn!(error = %format!("{error:#}"), "not delivered, trying again in {wait:?}");
                }
            }
            tokio::select! {
                () = sleep(jittered(wait)) => {}
                () = stop.cancelled() => return false,
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    async fn post(&self, request: &Request) -> anyhow::Result<StatusCode> {
        let source =
            format!("{}/{}/{}/{}", self.base, request.export_request_uuid, self.application, request.uuid);
        let answer = tokio::task::spawn_blocking({
            let request = request.clone();
            move || prepare(&request)
        });
        let post = match answer.await? {
            Answer::Data(table, filters) => self
                .client
                .post(format!("{source}/upload"))
                .body(streamed(write_rows(table, filters, request.format))),
            Answer::Error { code, message } => {
                self.client.post(format!("{source}/error")).json(&json!({"message": message, "error": code}))
            }
        };
        Ok(post.header("x-rh-exports-psk", &self.key).send().await?.status())
    }
}

/// What to answer, with the rows of this moment.
fn prepare(request: &Request) -> Answer {
    let read = match request.resource.as_str() {
        "packages" => packages::read(),
        "processes" => processes::read(),
        "mounts" => mounts::read(),
        _ => {
            let message = "there is no such resource; there are: packages, processes, mounts".to_owned();
            return Answer::Error { code: 404, message };
        }
    };
    match read {
        Err(error) => {
            Answer::Error { code: 500, message: format!("the inventory cannot be read: {error:#}") }
        }
        Ok(table) => match Filters::parse(&request.filters, table.columns) {
            Ok(filters) => Answer::Data(table, filters),
            Err(InvalidFilters(message)) => Answer::Error { code: 400, message },
        },
    }
}

/// A body of unknown length, sent chunk by chunk.
fn streamed(chunks: mpsc::Receiver<io::Result<Bytes>>) -> Body {
    Body::wrap_stream(stream::unfold(
        chunks,
        |mut chunks| async move { Some((chunks.recv().await?, chunks)) },
    ))
}

/// Whether the same answer may be taken later.
fn is_temporary(status: StatusCode) -> bool {
    status.is_server_error()
        || status == StatusCode::REQUEST_TIMEOUT
        || status == StatusCode::TOO_MANY_REQUESTS
}

/// Between half of `wait` and all of it, so that many do not come back at the same moment.
fn jittered(wait: Duration) -> Duration {
    let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.subsec_nanos());
    wait / 2 + (wait / 2) * (nanos % 1000) / 1000
}
