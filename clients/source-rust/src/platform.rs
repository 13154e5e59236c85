//! The internal API, as far as a source application calls it.

use std::{pin::Pin, time::Duration};

use futures_util::StreamExt as _;
use reqwest::{Body, Client, RequestBuilder, Response, StatusCode, Url, header::CONTENT_TYPE};
use serde_json::json;
use tokio::time::timeout;

use crate::{
    Credentials, Error, Metrics, Refusal, Request, Settings,
    answer::ByteStream,
    backoff::{ForNow, GivenUp},
    body::{Notes, body},
    error::{BoxError, chain},
    http::client_for,
    metrics::Outcome,
    resumable::{PIECE_BYTES, Unfinished},
};

/// How long a call without data may take.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of a message that are reported. The platform keeps 1,024 and shows that there was more; it takes no report
/// of over 64 KiB.
const LONGEST_MESSAGE: usize = 4096;

/// How long the text of an answer is waited for.
const TEXT_TIMEOUT: Duration = Duration::from_secs(2);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Why data did not get through.
#[derive(Debug)]
pub(crate) enum NotUploaded {
    ForNow(ForNow),
    /// The data ended early.
    Refused(Refusal),
    /// The source stops.
    GivenUp,
}

impl From<GivenUp> for NotUploaded {
    fn from(GivenUp: GivenUp) -> Self {
        Self::GivenUp
    }
}

impl From<ForNow> for NotUploaded {
    fn from(reason: ForNow) -> Self {
        Self::ForNow(reason)
    }
}

/// The internal API.
#[derive(Debug, Clone)]
pub(crate) struct Platform {
    pub(crate) http: Client,
    pub(crate) base: Url,
    pub(crate) piece_bytes: usize,
    pub(crate) unfinished: Unfinished,
    credentials: Credentials,
    stall_limit: Duration,
    metrics: Metrics,
}

impl Platform {
    pub(crate) fn new(settings: &Settings, metrics: Metrics) -> Result<Self, Error> {
        let base = settings.check()?;
        // No limit on the whole of an upload, nor on reading: that one would count from its beginning.
        let http = client_for(base.as_str())
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_keepalive(KEEPALIVE)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self {
            http,
            base,
            piece_bytes: PIECE_BYTES,
            unfinished: Unfinished::default(),
            credentials: settings.credentials.clone(),
            stall_limit: settings.stall_limit,
            metrics,
        })
    }

    /// Uploads the data in one request.
    pub(crate) async fn upload(&self, request: &Request, data: ByteStream) -> Result<Outcome, NotUploaded> {
        // The platform gives up on an upload that stands still: there must be something before it is begun.
        let mut data = data.peekable();
        if let Some(Err(refusal)) = Pin::new(&mut data).next_if(Result::is_err).await {
            return Err(NotUploaded::Refused(refusal));
        }
        let notes = Notes::default();
        let post = self.http.post(self.url(request, "upload"));
        let post = post.header(CONTENT_TYPE, request.format.content_type());
        let answer = self.send(post, data.boxed(), &notes).await;
        // Looked at first: the answer to a body that broke off says nothing.
        match notes.take_refusal() {
            Some(refusal) => Err(NotUploaded::Refused(refusal)),
            None => Ok(self.settled(answer?, Outcome::Uploaded).await),
        }
    }

    /// Reports why there is no data.
    pub(crate) async fn report(&self, request: &Request, refusal: &Refusal) -> Result<Outcome, ForNow> {
        let message = &refusal.message[..refusal.message.floor_char_boundary(LONGEST_MESSAGE)];
        // The fields are everybody's, and the platform takes no 0.
        let code = if refusal.code == 0 { 500 } else { refusal.code };
        let report = json!({"message": message, "error": code});
        let post = self.http.post(self.url(request, "error")).json(&report).timeout(CALL_TIMEOUT);
        let response = self.call(post).await?;
        Ok(self.settled(response, Outcome::Reported).await)
    }

    /// `…/{export}/{application}/{resource}/{action}`, each part percent-encoded.
    pub(crate) fn url(&self, request: &Request, action: &str) -> Url {
        let mut url = self.base.clone();
        // An HTTP URL has a path; `Settings::check` has looked.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["app", "export", "v1"]);
            path.extend([&request.export.to_string(), &request.application, &request.id.to_string()]);
            path.push(action);
        }
        url
    }

    /// Sends `data` with `call`, however long that takes as long as it moves. As [`call`](Self::call).
    pub(crate) async fn send(
        &self,
        call: RequestBuilder,
        data: ByteStream,
        notes: &Notes,
    ) -> Result<Response, ForNow> {
        let body = Body::wrap_stream(body(data, notes.clone(), self.metrics.clone()));
        tokio::select! {
            answer = self.call(call.body(body)) => answer,
            () = notes.stalled(self.stall_limit) => Err(ForNow::because("the upload stands still")),
        }
    }

    /// Makes `call` with the credentials; returns an answer that is final.
    pub(crate) async fn call(&self, call: RequestBuilder) -> Result<Response, ForNow> {
        let authorised = self.credentials.authorise(call).await;
        let call = authorised.map_err(|error: BoxError| ForNow::because(&chain(error.as_ref())))?;
        let answer = call.send().await;
        let response = answer.map_err(|error| ForNow::because(&chain(&error.without_url())))?;
        let status = response.status();
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            self.credentials.refused().await;
        }
        if is_temporary(status) { Err(ForNow::answered(&response)) } else { Ok(response) }
    }

    /// What became of an answer that the platform has looked at; `taken` if it was taken.
    pub(crate) async fn settled(&self, response: Response, taken: Outcome) -> Outcome {
        match response.status() {
            status if status.is_success() => taken,
            StatusCode::NOT_FOUND => Outcome::Gone,
            StatusCode::GONE => Outcome::SettledBefore,
            status => {
                let answer = text(response).await;
                tracing::error!(%status, answer, "the platform refuses the answer for good");
                Outcome::Refused
            }
        }
    }
}

/// Whether the same answer may be taken later. Credentials that are refused are such a case: a person mends that,
/// and the request must still be there then.
fn is_temporary(status: StatusCode) -> bool {
    status.is_server_error()
        // Nor does the platform send anybody elsewhere: something before it does, which is set up wrongly.
        || status.is_redirection()
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
    let reading = async {
        while bytes.len() < LONGEST
            && let Ok(Some(chunk)) = response.chunk().await
        {
            bytes.extend_from_slice(&chunk);
        }
    };
    // What has come until then will do.
    let _ = timeout(TEXT_TIMEOUT, reading).await;
    bytes.truncate(LONGEST);
    String::from_utf8_lossy(&bytes).into_owned()
}
