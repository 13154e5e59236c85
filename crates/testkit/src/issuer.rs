//! An `OpenID Connect` issuer that only one test knows.

use anyhow::{Context as _, Result};
use devservers::TestServers;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

use crate::FaultProxy;

/// An issuer of a test's own on the shared identity provider: real tokens for its clients `source-client`
/// (RS256), `other-client` (ES256) and `unknown-client`, and by [`TestIssuer::sign`] any others.
#[derive(Debug, Clone)]
pub struct TestIssuer {
    /// The issuer as its tokens name it.
    pub url: String,
    control_url: String,
    client_secret: String,
    http: Client,
}

impl TestIssuer {
    /// A new issuer, with keys of its own.
    ///
    /// # Errors
    /// When the test servers do not run.
    pub async fn start() -> Result<Self> {
        Self::make(&json!({})).await
    }

    /// The same, reached through `proxy` only.
    ///
    /// # Errors
    /// As [`TestIssuer::start`].
    pub async fn behind(proxy: &FaultProxy) -> Result<Self> {
        let servers = TestServers::find()?;
        proxy.set_upstream(servers.identity_provider_url.trim_start_matches("http://").parse()?);
        Self::make(&json!({"url": format!("http://{}", proxy.address())})).await
    }

    async fn make(wanted: &Value) -> Result<Self> {
        let issuers = format!("{}/issuers", TestServers::find()?.identity_provider_url);
        let http = Client::builder().no_proxy().build()?;
        let made: Value = http.post(&issuers).json(wanted).send().await?.error_for_status()?.json().await?;
        let text =
            |key: &str| made[key].as_str().map(str::to_owned).with_context(|| format!("no {key}: {made}"));
        Ok(Self {
            url: text("issuer")?,
            control_url: format!("{issuers}/{}", text("id")?),
            client_secret: text("client_secret")?,
            http,
        })
    }

    /// A token for `client` as its application gets one: by its client credentials.
    ///
    /// # Errors
    /// When the issuer gives none.
    pub async fn token_of(&self, client: &str) -> Result<String> {
        let request = self.http.post(format!("{}/token", self.url));
        let request = request.basic_auth(client, Some(&self.client_secret));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let given: Value = serde_json::from_str(&body(request.body("grant_type=client_credentials")).await?)?;
        Ok(given["access_token"].as_str().context("no token")?.to_owned())
    }

    /// A token of this header and these claims, signed as `alg` says with the key of the issuer for it.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub async fn sign(&self, header: &Value, claims: &Value) -> Result<String> {
        let wanted = json!({"header": header, "claims": claims});
        body(self.http.post(format!("{}/sign", self.control_url)).json(&wanted)).await
    }

    /// The same with the key that the issuer had before it rolled over.
    ///
    /// # Errors
    /// As [`TestIssuer::sign`].
    pub async fn sign_with_old_key(&self, header: &Value, claims: &Value) -> Result<String> {
        let wanted = json!({"header": header, "claims": claims, "old": true});
        body(self.http.post(format!("{}/sign", self.control_url)).json(&wanted)).await
    }

    /// Gives the issuer new keys; it forgets the old ones.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn roll_over(&self) -> Result<()> {
        body(self.http.post(format!("{}/roll-over", self.control_url))).await.map(drop)
    }

    /// How often its keys were asked for.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn key_fetches(&self) -> Result<u64> {
        let said: Value = serde_json::from_str(&body(self.http.get(&self.control_url)).await?)?;
        said["key_fetches"].as_u64().with_context(|| format!("no number: {said}"))
    }
}

async fn body(request: RequestBuilder) -> Result<String> {
    Ok(request.send().await?.error_for_status()?.text().await?)
}
