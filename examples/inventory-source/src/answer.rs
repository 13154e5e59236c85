//! Answering a request: data, or an error, until the internal API has taken it.

use std::{
    fs, io,
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use bytes::Bytes;
use futures_util::stream;
use reqwest::{
    Body, Client, RequestBuilder, Response, StatusCode, Url,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use serde_json::json;
use tokio::{sync::mpsc, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    arguments::Arguments,
    filters::{Filters, InvalidFilters},
    mounts, packages, processes,
    request::{Format, Request},
    table::Table,
    write::write_rows,
};

/// After failures, the first wait and the longest.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How long an answer under way may take once the application is to stop.
const STOP_GRACE: Duration = Duration::from_secs(10);

/// What to post.
enum Answer {
    Data(Table, Filters),
    Error(Report),
}

/// Why there is no data.
struct Report {
    code: u16,
    message: String,
}

/// Posts answers.
#[derive(Debug, Clone)]
pub struct Answers {
    client: Client,
    base: Url,
    key: String,
    application: String,
}

impl Answers {
    /// Reads the key and prepares the client.
    ///
    /// # Errors
    /// When the key file cannot be read or the URL is none.
    pub fn new(arguments: &Arguments) -> anyhow::Result<Self> {
        let key = fs::read_to_string(&arguments.key_file)
            .with_context(|| format!("cannot read the key file {}", arguments.key_file.display()))?;
        Ok(Self {
            client: Client::builder()
                .connect_timeout(Duration::from_secs(5))
                .read_timeout(Duration::from_mins(2))
                .build()?,
            base: Url::parse(&arguments.internal_url)
                .ok()
                .filter(|url| !url.cannot_be_a_base())
                .with_context(|| format!("{} is not a URL", arguments.internal_url))?,
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
            let posted = tokio::select! {
                posted = self.post(request) => posted,
                () = stop_and_grace(stop) => return false,
            };
            let told = match posted {
                Ok(answer) if !is_temporary(answer.status()) => {
                    log(request, answer.status());
                    return true;
                }
                Ok(answer) => {
                    tracing::warn!(status = %answer.status(), "not taken, trying again in {wait:?} or later");
                    retry_after(&answer)
                }
                Err(error) => {
                    tracing::warn!(error = %format!("{error:#}"), "not delivered, trying again in {wait:?}");
                    Duration::ZERO
                }
            };
            tokio::select! {
                () = sleep(told + jittered(wait)) => {}
                () = stop.cancelled() => return false,
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    async fn post(&self, request: &Request) -> anyhow::Result<Response> {
        let answer = tokio::task::spawn_blocking({
            let request = request.clone();
            move || prepare(&request)
        });
        let (table, filters) = match answer.await? {
            Answer::Data(table, filters) => (table, filters),
            Answer::Error(report) => return self.report(request, &report).await,
        };
        let written = write_rows(table, filters, request.format);
        let content_type = match request.format {
            Format::Json => "application/json",
            Format::Csv => "text/csv; charset=utf-8",
        };
        let upload = self.to(request, "upload")?.header(CONTENT_TYPE, content_type);
        let upload = upload.body(streamed(written.chunks)).send().await;
        match (written.unreadable.get(), upload) {
            // Another try would not read more.
            (Some(reason), _) => self.report(request, &unreadable(reason)).await,
            (None, answer) => Ok(answer?),
        }
    }

    async fn report(&self, request: &Request, report: &Report) -> anyhow::Result<Response> {
        let body = json!({"message": report.message, "error": report.code});
        Ok(self.to(request, "error")?.json(&body).send().await?)
    }

    /// A post to `…/{export}/{application}/{resource}/{action}`, each part percent-encoded.
    fn to(&self, request: &Request, action: &str) -> anyhow::Result<RequestBuilder> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| anyhow::anyhow!("the URL has no path"))?
            .pop_if_empty()
            .extend(["app", "export", "v1"])
            .extend([&request.export_request_uuid, &self.application, &request.uuid])
            .push(action);
        Ok(self.client.post(url).header("x-rh-exports-psk", &self.key))
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
            return Answer::Error(Report { code: 404, message });
        }
    };
    match read {
        Err(error) => Answer::Error(unreadable(&format!("{error:#}"))),
        Ok(table) => match Filters::parse(&request.filters, table.columns) {
            Ok(filters) => Answer::Data(table, filters),
            Err(InvalidFilters(message)) => Answer::Error(Report { code: 400, message }),
        },
    }
}

fn unreadable(reason: &str) -> Report {
    Report { code: 500, message: format!("the inventory cannot be read: {reason}") }
}

/// A body of unknown length, sent chunk by chunk.
fn streamed(chunks: mpsc::Receiver<io::Result<Bytes>>) -> Body {
    Body::wrap_stream(stream::unfold(
        chunks,
        |mut chunks| async move { Some((chunks.recv().await?, chunks)) },
    ))
}

async fn stop_and_grace(stop: &CancellationToken) {
    stop.cancelled().await;
    sleep(STOP_GRACE).await;
}

fn log(request: &Request, status: StatusCode) {
    let (export, resource) = (&request.export_request_uuid, &request.resource);
    if status.is_success() {
        tracing::info!(export, resource, %status, "answered");
    } else {
        tracing::warn!(export, resource, %status, "the answer was refused for good");
    }
}

/// Whether the same answer may be taken later. A key that is refused is one: the request must still be
/// there when the application was given the right one.
fn is_temporary(status: StatusCode) -> bool {
    status.is_server_error()
        || status == StatusCode::UNAUTHORIZED
        || status == StatusCode::FORBIDDEN
        || status == StatusCode::REQUEST_TIMEOUT
        || status == StatusCode::TOO_MANY_REQUESTS
}

/// How long the answer asks to stay away; nothing when it does not say, or says it as a date.
fn retry_after(answer: &Response) -> Duration {
    let seconds = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    seconds.map_or(Duration::ZERO, Duration::from_secs).min(LONGEST_WAIT)
}

/// Between half of `wait` and all of it, so that many do not come back at the same moment.
fn jittered(wait: Duration) -> Duration {
    let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.subsec_nanos());
    wait / 2 + (wait / 2) * (nanos % 1000) / 1000
}
