//! What the internal API is called with (S0-17, S0-17b).

use std::{
    fmt,
    panic::AssertUnwindSafe,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{FutureExt as _, future::BoxFuture};
use reqwest::{Client, RequestBuilder};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::{
    error::{BoxError, chain},
    http::client_for,
};

/// How long before its end a token is no longer used.
const TOKEN_MARGIN: Duration = Duration::from_secs(30);

/// How long a token is used whose end is not told.
const TOKEN_USE: Duration = Duration::from_mins(1);

/// How long a token is used at most, whatever it says.
const LONGEST_TOKEN_USE: Duration = Duration::from_hours(24);

/// How long the token endpoint may take.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(20);

/// What the internal API is called with. Secrets do not show in debug output.
#[derive(Clone)]
pub struct Credentials(Kind);

#[derive(Clone)]
enum Kind {
    Key(Arc<str>),
    KeyFile(PathBuf),
    Bearer(Arc<dyn TokenProvider>),
}

impl Credentials {
    /// The key of the application.
    pub fn key(key: impl AsRef<str>) -> Self {
        Self(Kind::Key(key.as_ref().trim().into()))
    }

    /// A file that holds the key of the application. It is read for each call: a key that is replaced in it counts
    /// at once.
    pub fn key_file(path: impl Into<PathBuf>) -> Self {
        Self(Kind::KeyFile(path.into()))
    }

    /// Bearer tokens, such as those of [`ClientCredentials`].
    pub fn bearer(provider: impl TokenProvider) -> Self {
        Self(Kind::Bearer(Arc::new(provider)))
    }

    /// Puts them into a request.
    pub(crate) async fn authorise(&self, request: RequestBuilder) -> Result<RequestBuilder, BoxError> {
        match &self.0 {
            Kind::Key(key) => with_key(request, key),
            Kind::KeyFile(path) => {
                let read = tokio::fs::read_to_string(path).await;
                let key =
                    read.map_err(|error| format!("reading the key file {}: {error}", path.display()))?;
                with_key(request, key.trim())
            }
            Kind::Bearer(provider) => {
                // It is not ours, and what it does wrong must not cost the request.
                let asking = AssertUnwindSafe(async { provider.token().await }).catch_unwind().await;
                Ok(request.bearer_auth(asking.map_err(|_| "the token provider panicked")??))
            }
        }
    }

    /// They were refused: the next try needs others, if there are any.
    pub(crate) async fn refused(&self) {
        if let Kind::Bearer(provider) = &self.0 {
            let telling = AssertUnwindSafe(async { provider.refused().await }).catch_unwind().await;
            if telling.is_err() {
                tracing::error!("the token provider panicked");
            }
        }
    }
}

/// An empty key is none: the platform would refuse the answer for good, while somebody just replaces the file.
fn with_key(request: RequestBuilder, key: &str) -> Result<RequestBuilder, BoxError> {
    if key.is_empty() {
        return Err("the key is empty".into());
    }
    Ok(request.header("x-rh-exports-psk", key))
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Kind::Key(_) => "Key(***)",
            Kind::KeyFile(_) => "KeyFile",
            Kind::Bearer(_) => "Bearer",
        })
    }
}

/// Where bearer tokens come from.
pub trait TokenProvider: Send + Sync + 'static {
    /// A token that is good now. Called for each call to the internal API: keep it until shortly before its end.
    ///
    /// # Errors
    /// When there is none now; the call is tried again later.
    fn token(&self) -> BoxFuture<'_, Result<String, BoxError>>;

    /// The last token was refused: forget it.
    fn refused(&self) -> BoxFuture<'_, ()>;
}

/// Tokens of an OIDC issuer, for a client with a secret (`grant_type=client_credentials`, RFC 6749 section 4.4).
pub struct ClientCredentials {
    token_url: String,
    client_id: String,
    client_secret: String,
    parameters: Vec<(String, String)>,
    /// Why none can be made is said when a token is needed.
    http: reqwest::Result<Client>,
    /// Locked while a token is fetched, so that one is fetched at a time.
    current: Mutex<Option<(String, Instant)>>,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    /// Seconds: a number by the standard, a text of some issuers.
    expires_in: Option<Value>,
}

impl Granted {
    fn good_for(&self) -> Duration {
        let seconds = self.expires_in.as_ref();
        let seconds = seconds.and_then(|value| value.as_u64().or_else(|| value.as_str()?.parse().ok()));
        seconds.map_or(TOKEN_USE, Duration::from_secs).min(LONGEST_TOKEN_USE)
    }
}

impl ClientCredentials {
    /// A client at the token endpoint of its issuer.
    pub fn new(
        token_url: impl Into<String>,
        client_id: impl Into<String>,
        client_secret: impl Into<String>,
    ) -> Self {
        let token_url = token_url.into();
        Self {
            http: client_for(&token_url).build(),
            token_url,
            client_id: client_id.into(),
            client_secret: client_secret.into(),
            parameters: Vec::new(),
            current: Mutex::new(None),
        }
    }

    /// With a further parameter of the token request, such as `scope` or `audience`.
    #[must_use]
    pub fn with(mut self, parameter: &str, value: &str) -> Self {
        self.parameters.push((parameter.to_owned(), value.to_owned()));
        self
    }

    async fn fetch(&self) -> Result<Granted, BoxError> {
        let mut form = vec![("grant_type", "client_credentials")];
        form.extend(self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let http = self.http.as_ref().map_err(|error| format!("the HTTP client: {}", chain(error)))?;
        let request = http.post(&self.token_url).basic_auth(&self.client_id, Some(&self.client_secret));
        let response = request.form(&form).timeout(TOKEN_TIMEOUT).send().await?;
        let status = response.status();
        if !status.is_success() {
            return Err(format!("the token endpoint answered {status}").into());
        }
        Ok(response.json().await?)
    }
}

impl TokenProvider for ClientCredentials {
    fn token(&self) -> BoxFuture<'_, Result<String, BoxError>> {
        Box::pin(async {
            let mut current = self.current.lock().await;
            if let Some((token, until)) = &*current
                && Instant::now() < *until
            {
                return Ok(token.clone());
            }
            let granted = self.fetch().await?;
            let until = Instant::now() + granted.good_for().saturating_sub(TOKEN_MARGIN);
            *current = Some((granted.access_token.clone(), until));
            Ok(granted.access_token)
        })
    }

    fn refused(&self) -> BoxFuture<'_, ()> {
        Box::pin(async { *self.current.lock().await = None })
    }
}

impl fmt::Debug for ClientCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCredentials").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}
