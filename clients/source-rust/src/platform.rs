//! The internal API, as far as a source application calls it.

use std::time::Duration;

use reqwest::{Body, Client, RequestBuilder, Response, StatusCode, Url, header::CONTENT_TYPE};
use serde_json::json;

use crate::{
    Credentials, Error, Metrics, Refusal, Request, Settings,
    answer::ByteStream,
    backoff::retry_after,
    body::{Notes, body},
    error::{BoxError, chain},
    metrics::Outcome,
};

/// How long an error report may take.
const REPORT_TIMEOUT: Duration = Duration::from_secs(30);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const KEEPALIVE: Duration = Duration::from_secs(30);

/// An answer did not get through for now: another try may, after the wait that was asked for.
#[derive(Debug)]
pub(crate) struct ForNow {
    pub(crate) why: String,
    pub(crate) wait: Option<Duration>,
}

/// Why data did not get through.
#[derive(Debug)]
pub(crate) enum NotUploaded {
    ForNow(ForNow),
    /// The data ended early.
    Refused(Refusal),
}

impl From<ForNow> for NotUploaded {
    fn from(reason: ForNow) -> Self {
        Self::ForNow(reason)
    }
}

/// The internal API.
#[derive(Debug, Clone)]
pub(crate) struct Platform {
    http: Client,
    base: Url,
    credentials: Credentials,
    stall_limit: Duration,
    metrics: Metrics,
}

impl Platform {
    pub(crate) fn new(settings: &Settings, metrics: Metrics) -> Result<Self, Error> {
        let base = settings.check()?;
        // No limit on the whole of an upload, nor on reading: that one would count from its beginning.
        let http = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_keepalive(KEEPALIVE)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self {
            http,
            base,
            credentials: settings.credentials.clone(),
            stall_limit: settings.stall_limit,
            metrics,
        })
    }

    /// Uploads the data.
    pub(crate) async fn upload(&self, request: &Request, data: ByteStream) -> Result<Outcome, NotUploaded> {
        let notes = Notes::default();
        let body = Body::wrap_stream(body(data, notes.clone(), self.metrics.clone()));
        let post =
            self.post(request, "upload").header(CONTENT_TYPE, request.format.content_type()).body(body);
        let post = self.authorise(post).await?;
        let answer = tokio::select! {
            answer = post.send() => answer,
            () = notes.stalled(self.stall_limit) => return Err(for_now("the upload stands still").into()),
        };
        // Looked at first: the answer to a body that broke off says nothing.
        match (notes.take_refusal(), answer) {
            (Some(refusal), _) => Err(NotUploaded::Refused(refusal)),
            (None, answer) => Ok(self.judge(answer, Outcome::Uploaded).await?),
        }
    }

    /// Reports why there is no data.
    pub(crate) async fn report(&self, request: &Request, refusal: &Refusal) -> Result<Outcome, ForNow> {
        let report = json!({"message": refusal.message, "error": refusal.code});
        let post = self.post(request, "error").json(&report).timeout(REPORT_TIMEOUT);
        let answer = self.authorise(post).await?.send().await;
        self.judge(answer, Outcome::Reported).await
    }

    /// A post to `…/{export}/{application}/{resource}/{action}`, each part percent-encoded.
    fn post(&self, request: &Request, action: &str) -> RequestBuilder {
        let mut url = self.base.clone();
        // An HTTP URL has a path; `Settings::check` has looked.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["app", "export", "v1"]);
            path.extend([&request.export.to_string(), &request.application, &request.id.to_string()]);
            path.push(action);
        }
        self.http.post(url)
    }

    async fn authorise(&self, request: RequestBuilder) -> Result<RequestBuilder, ForNow> {
        let authorised = self.credentials.authorise(request).await;
        authorised.map_err(|error: BoxError| for_now(&chain(error.as_ref())))
    }

    async fn judge(&self, answer: reqwest::Result<Response>, taken: Outcome) -> Result<Outcome, ForNow> {
        let response = answer.map_err(|error| for_now(&chain(&error.without_url())))?;
        let status = response.status();
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            self.credentials.refused().await;
        }
        if is_temporary(status) {
            let wait = retry_after(&response);
            return Err(ForNow { why: format!("the platform answered {status}"), wait });
        }
        Ok(match status {
            status if status.is_success() => taken,
            StatusCode::NOT_FOUND => Outcome::Gone,
            StatusCode::GONE => Outcome::SettledBefore,
            _ => {
                let answer = text(response).await;
                tracing::error!(%status, answer, "the platform refuses the answer for good");
                Outcome::Refused
            }
        })
    }
}

fn for_now(why: &str) -> ForNow {
    ForNow { why: why.to_owned(), wait: None }
}

/// Whether the same answer may be taken later. Credentials that are refused are such a case: a person mends that,
/// and the request must still be there then.
fn is_temporary(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::UNAUTHORIZED
                | StatusCode::FORBIDDEN
                | StatusCode::REQUEST_TIMEOUT
                | StatusCode::TOO_MANY_REQUESTS
        )
}

/// The beginning of the answer's text, for the log.
async fn text(mut response: Response) -> String {
    const LONGEST: usize = 1024;
    let mut bytes = Vec::new();
    while bytes.len() < LONGEST {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            _ => break,
        }
    }
    bytes.truncate(LONGEST);
    String::from_utf8_lossy(&bytes).into_owned()
}
