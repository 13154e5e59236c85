//! The customers' API, as far as a first export needs it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::header::CONTENT_DISPOSITION;
use reqwest::{RequestBuilder, Response};
use serde::Deserialize;
use serde_json::json;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use crate::identity;
use crate::screen::Stopwatch;

/// The status of an export, as far as it is shown.
#[derive(Debug, Deserialize)]
pub(crate) struct Export {
    pub(crate) id: String,
    pub(crate) status: String,
    pub(crate) sources: Vec<Source>,
}

/// One source of an export.
#[derive(Debug, Deserialize)]
pub(crate) struct Source {
    resource: String,
    message: Option<String>,
}

impl Export {
    /// What the failed sources say.
    pub(crate) fn failures(&self) -> String {
        let told = |source: &Source| Some(format!("{}: {}", source.resource, source.message.as_ref()?));
        self.sources.iter().filter_map(told).collect::<Vec<_>>().join("; ")
    }
}

/// A downloaded archive.
#[derive(Debug)]
pub(crate) struct Download {
    pub(crate) path: PathBuf,
    pub(crate) size_bytes: u64,
    pub(crate) first_byte: Duration,
}

/// A customer made up for this machine.
#[derive(Debug)]
pub(crate) struct Customer {
    http: reqwest::Client,
    exports_url: String,
    identity: String,
}

impl Customer {
    /// # Errors
    /// When no HTTP client can be made.
    pub(crate) fn new(public_url: &str) -> Result<Self> {
        let http = reqwest::Client::builder().no_proxy().connect_timeout(Duration::from_secs(5)).build()?;
        let exports_url = format!("{public_url}/api/export/v1/exports");
        Ok(Self { http, exports_url, identity: identity::demo_customer() })
    }

    /// Asks for an export with one source for each resource.
    ///
    /// # Errors
    /// When it is not accepted, with the answer.
    pub(crate) async fn create(
        &self,
        name: &str,
        format: &str,
        application: &str,
        resources: &[&str],
    ) -> Result<Export> {
        let source = |resource: &&str| json!({"application": application, "resource": resource});
        let sources: Vec<_> = resources.iter().map(source).collect();
        let body = json!({"name": name, "format": format, "sources": sources});
        let answer = self.send(self.http.post(&self.exports_url).json(&body)).await?;
        answer.json().await.context("the answer to the create request")
    }

    /// How far an export is.
    ///
    /// # Errors
    /// When the answer is none or something else.
    pub(crate) async fn status(&self, id: &str) -> Result<Export> {
        let answer = self.send(self.http.get(format!("{}/{id}/status", self.exports_url))).await?;
        answer.json().await.context("the answer to the status request")
    }

    /// Downloads an archive into a folder, under the name that the server gives it.
    ///
    /// # Errors
    /// When the download breaks off or cannot be written.
    pub(crate) async fn download(&self, id: &str, folder: &Path) -> Result<Download> {
        let watch = Stopwatch::start();
        let mut answer = self.send(self.http.get(format!("{}/{id}", self.exports_url))).await?;
        let path = folder.join(file_name(&answer).context("the download has no usable file name")?);
        let mut file = File::create(&path).await.with_context(|| path.display().to_string())?;
        let (mut size_bytes, mut first_byte) = (0, None);
        while let Some(chunk) = answer.chunk().await.context("the download broke off")? {
            first_byte.get_or_insert_with(|| watch.elapsed());
            size_bytes += u64::try_from(chunk.len())?;
            file.write_all(&chunk).await.with_context(|| path.display().to_string())?;
        }
        file.flush().await.with_context(|| path.display().to_string())?;
        Ok(Download { path, size_bytes, first_byte: first_byte.unwrap_or_else(|| watch.elapsed()) })
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let answer = request.header(identity::HEADER, &self.identity).send().await?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let url = answer.url().clone();
        bail!("{url} answered {status}: {}", answer.text().await.unwrap_or_default())
    }
}

/// The name in `Content-Disposition: attachment; filename="…"`, if it is one within the folder.
fn file_name(answer: &Response) -> Option<String> {
    let header = answer.headers().get(CONTENT_DISPOSITION)?.to_str().ok()?;
    let name = header.split_once("filename=\"")?.1.split_once('"')?.0;
    let safe = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\']);
    safe.then(|| name.to_owned())
}
