//! What an issuer says of its keys, kept and renewed.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use jsonwebtoken::{Algorithm, DecodingKey};
use reqwest::{Client, redirect::Policy};
use serde::{Deserialize, de::DeserializeOwned};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use super::{
    keys::{KeyDocument, Keys},
    settings::{InvalidOidcSettings, OidcSettings},
};

/// The largest document that is read; a set of keys has a few KiB.
const MAX_DOCUMENT_BYTES: usize = 1 << 20;

/// How a question to the issuer ended: for its figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// It told its keys.
    Answered,
    /// It did not, or nothing of use.
    Failed,
}

/// The issuer's keys, as far as they are known.
pub(super) struct Issuer {
    name: String,
    client: Client,
    timeout: Duration,
    pause: Duration,
    known: RwLock<Arc<Known>>,
    /// Held by whoever asks the issuer: one at a time, however many wait for the answer.
    asking: Mutex<()>,
    observe: Box<dyn Fn(Asked) + Send + Sync>,
}

/// What the issuer said last.
#[derive(Debug, Default)]
struct Known {
    keys: Arc<Keys>,
    /// When it was asked last, and whether it answered then. None before the first question.
    asked: Option<(Instant, Asked)>,
}

/// What the discovery document must hold (`OpenID` Connect Discovery 1.0, section 3).
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

/// Why the issuer's keys are not known. It names no token.
#[derive(Debug, thiserror::Error)]
pub enum KeysUnavailable {
    /// It cannot be reached, or refuses.
    #[error("the issuer does not answer")]
    Http(#[from] reqwest::Error),
    /// It takes longer than `oidc.timeout`.
    #[error("the issuer does not answer in time")]
    Timeout,
    /// It was asked just now and did not answer; it is not asked again so soon.
    #[error("the issuer did not answer a moment ago")]
    Away,
    /// That is no set of keys.
    #[error("the issuer's answer is larger than 1 MiB")]
    TooLarge,
    /// It is not the document that it should be.
    #[error("the issuer's answer is not what it should be")]
    Malformed(#[from] serde_json::Error),
    /// Its discovery document names another issuer than the settings.
    #[error("the discovery document is that of `{0}`")]
    OtherIssuer(String),
    /// The process stops.
    #[error("the question to the issuer was dropped")]
    Dropped,
}

impl Issuer {
    pub(super) fn new(
        name: &str,
        settings: &OidcSettings,
        observe: impl Fn(Asked) + Send + Sync + 'static,
    ) -> Result<Self, InvalidOidcSettings> {
        let client = Client::builder()
            // A redirect could lead to where anybody may answer.
            .redirect(Policy::none())
            .https_only(!settings.allow_http)
            // It is asked every few minutes, from threads that have runtimes of their own.
            .pool_max_idle_per_host(0)
            .build()
            .map_err(InvalidOidcSettings::Client)?;
        Ok(Self {
            name: name.to_owned(),
            client,
            timeout: settings.timeout.as_duration(),
            pause: settings.refresh_pause.as_duration(),
            known: RwLock::default(),
            asking: Mutex::new(()),
            observe: Box::new(observe),
        })
    }

    /// The key `kid` for `algorithm`; None when the issuer has no such key. It is asked for one that is not
    /// known, unless it was asked just now.
    ///
    /// # Errors
    /// [`KeysUnavailable`] when it could not be asked: it may have the key.
    pub(super) async fn key(
        self: &Arc<Self>,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Option<DecodingKey>, KeysUnavailable> {
        let known = self.known();
        if let Some(key) = known.keys.find(kid, algorithm) {
            return Ok(Some(key));
        }
        // A task of its own: a caller that hangs up must not end the question that others wait for.
        let issuer = Arc::clone(self);
        let asked = tokio::spawn(async move { issuer.refresh_since(&known).await });
        asked.await.map_err(|_| KeysUnavailable::Dropped)??;
        Ok(self.known().keys.find(kid, algorithm))
    }

    /// Asks for the keys, unless that was done just now.
    pub(super) async fn refresh(&self) -> Result<(), KeysUnavailable> {
        self.refresh_since(&self.known()).await
    }

    fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks for the keys, unless somebody has since `seen` was known, or just now.
    async fn refresh_since(&self, seen: &Known) -> Result<(), KeysUnavailable> {
        let _one_at_a_time = self.asking.lock().await;
        let known = self.known();
        if let Some((at, asked)) = known.asked
            && (known.asked != seen.asked || at.elapsed() < self.pause)
        {
            return if asked == Asked::Answered { Ok(()) } else { Err(KeysUnavailable::Away) };
        }
        let answer = timeout(self.timeout, self.ask()).await.unwrap_or(Err(KeysUnavailable::Timeout));
        let (keys, asked, outcome) = match answer {
            Ok(keys) => (Arc::new(keys), Asked::Answered, Ok(())),
            // The old ones go on counting.
            Err(error) => (Arc::clone(&known.keys), Asked::Failed, Err(error)),
        };
        (self.observe)(asked);
        let known = Known { keys, asked: Some((Instant::now(), asked)) };
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(known);
        outcome
    }

    async fn ask(&self) -> Result<Keys, KeysUnavailable> {
        let name = self.name.trim_end_matches('/');
        let discovery: Discovery = self.fetch(&format!("{name}/.well-known/openid-configuration")).await?;
        if discovery.issuer != self.name {
            return Err(KeysUnavailable::OtherIssuer(discovery.issuer));
        }
        let keys: KeyDocument = self.fetch(&discovery.jwks_uri).await?;
        Ok(keys.into())
    }

    async fn fetch<T: DeserializeOwned>(&self, url: &str) -> Result<T, KeysUnavailable> {
        let mut response = self.client.get(url).send().await?.error_for_status()?;
        let mut document = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            document.extend_from_slice(&chunk);
            if document.len() > MAX_DOCUMENT_BYTES {
                return Err(KeysUnavailable::TooLarge);
            }
        }
        Ok(serde_json::from_slice(&document)?)
    }
}
