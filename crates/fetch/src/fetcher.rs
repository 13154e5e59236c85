//! Asking for a body.

use std::{net::IpAddr, sync::Arc, time::Duration};

use reqwest::{
    Certificate, Client, Response, Version,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING},
    redirect,
};
use tokio::time::{Instant, timeout};

use crate::{
    addresses::Guard,
    body::Body,
    error::{FetchError, InvalidFetchSettings},
    settings::FetchSettings,
    target::{InvalidTarget, Target},
};

/// Fetches within its limits. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Fetcher {
    client: Client,
    guard: Guard,
    settings: Arc<FetchSettings>,
}

/// A body that begins to come.
#[derive(Debug)]
pub struct Fetched {
    /// How it is coded on its way.
    pub coding: Coding,
    /// The body as it comes.
    pub body: Body,
}

/// How a body is coded on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// Not at all.
    Identity,
    /// As gzip.
    Gzip,
}

impl Fetcher {
    /// # Errors
    /// [`InvalidFetchSettings`].
    pub fn new(settings: &FetchSettings) -> Result<Self, InvalidFetchSettings> {
        let guard = Guard::new(&settings.allow_networks);
        let client = Client::builder()
            .dns_resolver(Arc::new(guard.clone()))
            .redirect(redirect::Policy::none())
            .no_proxy()
            .no_gzip()
            .https_only(!settings.allow_http)
            .connect_timeout(settings.connect_timeout.as_duration())
            // Servers close idle connections when they like; a fetch must not fail for it.
            .pool_max_idle_per_host(0)
            .user_agent(concat!("exports/", env!("CARGO_PKG_VERSION")));
        let client = match &settings.ca_file {
            Some(_) => client.tls_certs_merge(certificates(settings)?),
            None => client,
        };
        let client = client.build().map_err(|error| InvalidFetchSettings::Client(error.into()))?;
        Ok(Self { client, guard, settings: Arc::new(settings.clone()) })
    }

    /// Reads a URL that was announced.
    ///
    /// # Errors
    /// [`InvalidTarget`].
    pub fn target(&self, url: &str) -> Result<Target, InvalidTarget> {
        Target::parse(url, self.settings.allow_http)
    }

    /// Asks for `target` and returns when its body begins to come, of which at most `max_bytes` are taken.
    ///
    /// # Errors
    /// [`FetchError`] unless the answer is a 200 whose end can be told.
    pub async fn get(&self, target: &Target, max_bytes: u64) -> Result<Fetched, FetchError> {
        let begun = Instant::now();
        // The resolver is not asked for what is an address already.
        if let Ok(address) = target.host().trim_matches(['[', ']']).parse::<IpAddr>() {
            self.guard.check(address).map_err(|_| FetchError::NotPublic)?;
        }
        let patience = self.answer_patience();
        let asked = self.client.get(target.url().clone()).header(ACCEPT_ENCODING, "gzip").send();
        let answer = timeout(patience, asked).await.map_err(|_| FetchError::Idle(patience))?;
        let answer = answer.map_err(FetchError::of)?;
        if answer.status().as_u16() != 200 {
            return Err(FetchError::Status(answer.status().as_u16()));
        }
        if !tells_its_end(&answer) {
            return Err(FetchError::NoLength);
        }
        let coding = coding(answer.headers()).ok_or(FetchError::Coding)?;
        Ok(Fetched { coding, body: Body::new(answer, &self.settings, begun, max_bytes) })
    }

    fn answer_patience(&self) -> Duration {
        self.settings.connect_timeout.as_duration() + self.settings.answer_timeout.as_duration()
    }
}

fn certificates(settings: &FetchSettings) -> Result<Vec<Certificate>, InvalidFetchSettings> {
    let Some(file) = &settings.ca_file else { return Ok(Vec::new()) };
    let pem = std::fs::read(file).map_err(|error| InvalidFetchSettings::CaFile(file.clone(), error))?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(InvalidFetchSettings::Certificates(file.clone())),
    }
}

/// Whether a cut can be told from the end: a body without a length and without chunks ends with its connection.
fn tells_its_end(answer: &Response) -> bool {
    let chunked = || {
        let codings = answer.headers().get_all(TRANSFER_ENCODING).iter();
        codings.filter_map(|value| value.to_str().ok()).any(|value| value.eq_ignore_ascii_case("chunked"))
    };
    answer.version() >= Version::HTTP_2 || answer.headers().contains_key(CONTENT_LENGTH) || chunked()
}

/// None when it is coded in a way that we do not read.
fn coding(headers: &HeaderMap) -> Option<Coding> {
    let mut codings = headers.get_all(CONTENT_ENCODING).iter().map(|value| value.as_bytes().trim_ascii());
    match (codings.next().unwrap_or_default().to_ascii_lowercase().as_slice(), codings.next()) {
        (b"" | b"identity", None) => Some(Coding::Identity),
        (b"gzip" | b"x-gzip", None) => Some(Coding::Gzip),
        _ => None,
    }
}
