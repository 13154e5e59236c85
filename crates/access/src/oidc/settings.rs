//! How tokens are checked.

use domain::Period;
use reqwest::Url;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Section `[oidc]`: the issuer whose tokens are taken instead of a key (S0-17b).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OidcSettings {
    /// The issuer's URL, exactly as its tokens and its discovery document name it. Without it every token is
    /// refused.
    pub issuer: Option<String>,
    /// What a token must be meant for (`aud`).
    pub audience: String,
    /// Whether the issuer may be asked without TLS. Whoever can answer in its place can sign tokens.
    pub allow_http: bool,
    /// How long the issuer may take to tell its keys.
    pub timeout: Period,
    /// How often its keys are asked for. One that it has withdrawn counts until then.
    pub refresh_every: Period,
    /// The least time between two questions, whatever tokens come: a token with an unknown key makes us ask.
    pub refresh_pause: Period,
}

impl Default for OidcSettings {
    fn default() -> Self {
        Self {
            issuer: None,
            audience: "exports".to_owned(),
            allow_http: false,
            timeout: Period::from_secs(5),
            refresh_every: Period::from_secs(300),
            refresh_pause: Period::from_secs(5),
        }
    }
}

/// Why `[oidc]` cannot be used as it stands.
#[derive(Debug, thiserror::Error)]
pub enum InvalidOidcSettings {
    /// It is no URL, or one that is not asked.
    #[error("oidc.issuer must be an https:// URL (http:// only with oidc.allow_http)")]
    Issuer,
    /// Then a token for anybody would be one for us.
    #[error("oidc.audience is empty")]
    Audience,
    /// The issuer would be asked without end, or never in time.
    #[error("oidc.timeout and oidc.refresh_every must be longer than 0s")]
    Periods,
    /// There is no TLS on this system.
    #[error("the client that asks oidc.issuer cannot be made")]
    Client(#[source] reqwest::Error),
}

impl OidcSettings {
    /// The issuer, when there is one.
    pub(super) fn checked_issuer(&self) -> Result<Option<&str>, InvalidOidcSettings> {
        let Some(issuer) = self.issuer.as_deref() else { return Ok(None) };
        let url = Url::parse(issuer).map_err(|_| InvalidOidcSettings::Issuer)?;
        if url.scheme() != "https" && !(self.allow_http && url.scheme() == "http") {
            return Err(InvalidOidcSettings::Issuer);
        }
        if self.audience.trim().is_empty() {
            return Err(InvalidOidcSettings::Audience);
        }
        if self.timeout.as_duration().is_zero() || self.refresh_every.as_duration().is_zero() {
            return Err(InvalidOidcSettings::Periods);
        }
        Ok(Some(issuer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(change: impl FnOnce(&mut OidcSettings)) -> Result<Option<String>, String> {
        let mut settings = OidcSettings {
            issuer: Some("https://sso.example.com/realms/a".into()),
            ..OidcSettings::default()
        };
        change(&mut settings);
        let issuer = settings.checked_issuer().map_err(|error| error.to_string())?;
        Ok(issuer.map(str::to_owned))
    }

    #[test]
    fn an_issuer_is_asked_over_tls_unless_that_is_given_up() {
        assert_eq!(checked(|_| ()).unwrap().as_deref(), Some("https://sso.example.com/realms/a"));
        assert_eq!(checked(|settings| settings.issuer = None), Ok(None));
        for refused in ["", "sso.example.com", "http://sso.example.com", "file:///etc/issuer"] {
            let refusal = checked(|settings| settings.issuer = Some(refused.into())).unwrap_err();
            assert!(refusal.contains("https://"), "{refusal}");
        }
        let plain = checked(|settings| {
            settings.issuer = Some("http://localhost:8080".into());
            settings.allow_http = true;
        });
        assert_eq!(plain.unwrap().as_deref(), Some("http://localhost:8080"));
    }

    #[test]
    fn a_token_must_be_meant_for_somebody_and_checked_in_some_time() {
        assert!(checked(|settings| settings.audience = " ".into()).unwrap_err().contains("audience"));
        assert!(checked(|settings| settings.timeout = Period::from_secs(0)).unwrap_err().contains("0s"));
        assert!(checked(|settings| settings.refresh_every = Period::from_secs(0)).is_err());
    }
}
