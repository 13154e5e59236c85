//! Bearer tokens instead of keys (S0-17b).

use std::time::Duration;

use access::{
    Bearer,
    oidc::{Asked, OidcSettings, TokenError, TokenVerifier},
};
use service::{
    BoxError, Context,
    metrics::Counter,
    worker::{Outcome, Worker},
};

use crate::error::ApiError;

/// Checks tokens, and counts what becomes of them.
#[derive(Debug)]
pub(crate) struct Tokens {
    verifier: Option<TokenVerifier>,
    refresh_every: Duration,
    refused: Counter<1>,
}

impl Tokens {
    /// # Errors
    /// When the settings name an issuer that cannot be used.
    pub(crate) fn new(context: &Context, settings: &OidcSettings) -> Result<Self, BoxError> {
        let metrics = context.metrics();
        let asked =
            metrics.counter("oidc_key_fetches_total", "Questions for the issuer's keys.", ["outcome"]);
        let refused = metrics.counter("oidc_refused_tokens_total", "Bearer tokens refused.", ["reason"]);
        let observe = move |outcome| match outcome {
            Asked::Answered => asked.inc(["answered"]),
            Asked::Failed => asked.inc(["failed"]),
        };
        let verifier = TokenVerifier::new(settings, observe)?;
        Ok(Self { verifier, refresh_every: settings.refresh_every.as_duration(), refused })
    }

    /// Whether there is an issuer whose tokens are taken.
    pub(crate) fn are_taken(&self) -> bool {
        self.verifier.is_some()
    }

    /// Starts the loop that asks for the issuer's keys. Readiness does not wait for it: calls with keys need no
    /// issuer, and those with tokens go on with the keys that are known.
    pub(crate) fn keep_keys(&self, context: &Context) {
        let Some(verifier) = self.verifier.clone() else { return };
        Worker::new("oidc-keys", self.refresh_every).start(context, move || {
            let verifier = verifier.clone();
            async move {
                verifier.refresh_keys().await?;
                Ok::<_, BoxError>(Outcome::Idle)
            }
        });
    }

    /// The client that a request's token stands for; None where it shows no token.
    ///
    /// # Errors
    /// 401 whatever is wrong with the token, 503 when that cannot be told now.
    pub(crate) async fn client_of(&self, shown: Bearer<'_>) -> Result<Option<String>, ApiError> {
        let reason = match (shown, &self.verifier) {
            (Bearer::Absent, _) => return Ok(None),
            (Bearer::Broken, _) => "malformed".to_owned(),
            (Bearer::Token(_), None) => "no-issuer".to_owned(),
            (Bearer::Token(token), Some(verifier)) => match verifier.client_of(token).await {
                Ok(client) => return Ok(Some(client)),
                Err(TokenError::Unavailable(source)) => return Err(ApiError::Issuer(source)),
                Err(TokenError::Refused(refusal)) => refusal.to_string(),
            },
        };
        self.refused.inc([&reason]);
        tracing::info!(reason, "a bearer token was refused");
        Err(ApiError::Token)
    }
}
