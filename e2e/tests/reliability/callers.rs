//! Customers and source applications, who call the real HTTP interfaces and keep book of what they were told.

use anyhow::{Context as _, Result, bail};
use e2e::{Customer, INTERNAL, PUBLIC, SOURCE_APPLICATION, SourceApplication, sha256_hex};
use reqwest::{Body, Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::ledger::Ledger;

/// An accepted export.
#[derive(Debug, Clone)]
pub(crate) struct Accepted {
    pub(crate) id: String,
    /// Its sources, in the order of the request.
    pub(crate) sources: Vec<String>,
}

/// A customer of the public API at `url`. Clones are the same customer.
#[derive(Debug, Clone)]
pub(crate) struct Asking {
    http: Client,
    url: String,
    identity: String,
    ledger: Ledger,
}

impl Asking {
    pub(crate) fn new(http: &Client, url: &str, ledger: &Ledger) -> Self {
        let url = format!("{url}{PUBLIC}/exports");
        Self { http: http.clone(), url, identity: Customer::named("keeper").header(), ledger: ledger.clone() }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).header("x-rh-identity", &self.identity)
    }

    /// One try to create an export.
    ///
    /// # Errors
    /// When it is not answered, or not with 202.
    pub(crate) async fn create(&self, sources: usize) -> Result<Accepted> {
        self.create_as(json!({"name": "kept", "format": "json", "sources": wanted(sources)})).await
    }

    /// The same with a body of the caller's.
    ///
    /// # Errors
    /// As [`Asking::create`].
    pub(crate) async fn create_as(&self, body: Value) -> Result<Accepted> {
        let response = self.send(self.request(Method::POST, "").json(&body)).await?;
        let status = response.status();
        if status != StatusCode::ACCEPTED {
            bail!("create was answered {status}: {}", response.text().await.unwrap_or_default());
        }
        // An answer that breaks off after its head is none: the customer does not know the id.
        let body: Value = response.json().await.context("the answer to a create")?;
        let text = |value: &Value| value.as_str().map(str::to_owned).context("a text");
        let sources = body["sources"].as_array().context("sources")?;
        let sources = sources.iter().map(|source| text(&source["id"])).collect::<Result<Vec<_>>>()?;
        let accepted = Accepted { id: text(&body["id"])?, sources };
        self.ledger.note(|books| books.accepted.insert(accepted.id.clone(), accepted.sources.clone()));
        Ok(accepted)
    }

    /// The body that `/status` answers.
    ///
    /// # Errors
    /// When it is not answered, or not with 200.
    pub(crate) async fn status(&self, id: &str) -> Result<Value> {
        let response = self.send(self.request(Method::GET, &format!("/{id}/status"))).await?;
        Ok(response.error_for_status()?.json().await?)
    }

    /// The ids of all exports that are listed.
    ///
    /// # Errors
    /// As [`Asking::status`].
    pub(crate) async fn list(&self) -> Result<Vec<String>> {
        let response = self.send(self.request(Method::GET, "?limit=1000")).await?;
        let body: Value = response.error_for_status()?.json().await?;
        let rows = body["data"].as_array().context("data")?;
        Ok(rows.iter().filter_map(|row| Some(row["id"].as_str()?.to_owned())).collect())
    }

    /// The whole archive.
    ///
    /// # Errors
    /// When it is not answered with 200, or breaks off.
    pub(crate) async fn download(&self, id: &str) -> Result<Vec<u8>> {
        let response = self.send(self.request(Method::GET, &format!("/{id}"))).await?;
        let status = response.status();
        if status != StatusCode::OK {
            bail!("download was answered {status}: {}", response.text().await.unwrap_or_default());
        }
        Ok(response.bytes().await.context("the download broke off")?.to_vec())
    }

    /// One try to delete an export; the status of the answer.
    ///
    /// # Errors
    /// When it is not answered.
    pub(crate) async fn delete(&self, id: &str) -> Result<StatusCode> {
        self.ledger.note(|books| books.deletions.insert(id.to_owned()));
        Ok(self.send(self.request(Method::DELETE, &format!("/{id}"))).await?.status())
    }

    /// One try to have a source asked once more; the status of the answer.
    ///
    /// # Errors
    /// When it is not answered.
    pub(crate) async fn retry(&self, export: &str, source: &str) -> Result<StatusCode> {
        self.ledger.note(|books| {
            books.failed.remove(source);
            books.retries.entry(source.to_owned()).or_default();
        });
        let request = self.request(Method::POST, &format!("/{export}/sources/{source}/retry"));
        let status = self.send(request).await?.status();
        if status == StatusCode::ACCEPTED {
            self.ledger.note(|books| *books.retries.entry(source.to_owned()).or_default() += 1);
        }
        Ok(status)
    }

    /// Sends a request and counts its answer.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Response> {
        counted(&self.ledger, request.send().await)
    }
}

/// So many sources, all of the one application.
pub(crate) fn wanted(count: usize) -> Vec<Value> {
    let source =
        |i| json!({"application": SOURCE_APPLICATION, "resource": "exampleResource", "filters": {"n": i}});
    (0..count).map(source).collect()
}

/// The source application, at the internal API at `url`.
#[derive(Debug, Clone)]
pub(crate) struct Answering {
    http: Client,
    url: String,
    application: SourceApplication,
    ledger: Ledger,
}

impl Answering {
    pub(crate) fn new(http: &Client, url: &str, ledger: &Ledger) -> Self {
        let application = SourceApplication::named(SOURCE_APPLICATION);
        Self { http: http.clone(), url: format!("{url}{INTERNAL}"), application, ledger: ledger.clone() }
    }

    /// One try to deliver; the status of the answer.
    ///
    /// # Errors
    /// When it is not answered.
    pub(crate) async fn upload(&self, export: &str, source: &str, bytes: Vec<u8>) -> Result<StatusCode> {
        let sha256 = sha256_hex(&bytes);
        let status = self.upload_as(export, source, bytes).await?.status();
        if status == StatusCode::ACCEPTED {
            self.ledger.note(|books| books.delivered.insert(source.to_owned(), sha256));
        }
        Ok(status)
    }

    /// Sends a body for a source, whose bytes the ledger does not know.
    ///
    /// # Errors
    /// When it is not answered.
    pub(crate) async fn upload_as(
        &self,
        export: &str,
        source: &str,
        body: impl Into<Body>,
    ) -> Result<Response> {
        counted(&self.ledger, self.post(export, source, "upload").body(body).send().await)
    }

    /// One try to report an error; the status of the answer.
    ///
    /// # Errors
    /// When it is not answered.
    pub(crate) async fn report(&self, export: &str, source: &str) -> Result<StatusCode> {
        let body = json!({"message": "there is no data", "error": 404});
        let response = self.post(export, source, "error").json(&body).send().await;
        let status = counted(&self.ledger, response)?.status();
        if status == StatusCode::ACCEPTED {
            self.ledger.note(|books| books.failed.insert(source.to_owned()));
        }
        Ok(status)
    }

    /// Begins a resumable upload and returns where it goes on.
    ///
    /// # Errors
    /// When it is not answered.
    pub(crate) async fn begin_resumable(&self, export: &str, source: &str, length: usize) -> Result<String> {
        let request = self.post(export, source, "uploads").header("tus-resumable", "1.0.0");
        let begun = counted(&self.ledger, request.header("upload-length", length).send().await)?;
        let location = begun.headers().get("location").context("no Location")?.to_str()?;
        Ok(format!("{}{location}", self.url.trim_end_matches(INTERNAL)))
    }

    /// How much of a resumable upload counts.
    ///
    /// # Errors
    /// When it is not answered.
    pub(crate) async fn offset(&self, upload: &str) -> Result<usize> {
        let head = counted(&self.ledger, self.resumable(Method::HEAD, upload).send().await)?;
        Ok(head.headers().get("upload-offset").context("no Upload-Offset")?.to_str()?.parse()?)
    }

    /// One try to add to a resumable upload; the status of the answer.
    ///
    /// # Errors
    /// When it is not answered.
    pub(crate) async fn append(&self, upload: &str, offset: usize, bytes: Vec<u8>) -> Result<StatusCode> {
        let request = self.resumable(Method::PATCH, upload).header("upload-offset", offset);
        let request = request.header("content-type", "application/offset+octet-stream").body(bytes);
        Ok(counted(&self.ledger, request.send().await)?.status())
    }

    /// Notes that `bytes` were acknowledged for a source.
    pub(crate) fn delivered(&self, source: &str, bytes: &[u8]) {
        let sha256 = sha256_hex(bytes);
        self.ledger.note(|books| books.delivered.insert(source.to_owned(), sha256));
    }

    fn resumable(&self, method: Method, upload: &str) -> RequestBuilder {
        let request = self.http.request(method, upload).header("tus-resumable", "1.0.0");
        request.header("x-rh-exports-psk", &self.application.key)
    }

    fn post(&self, export: &str, source: &str, what: &str) -> RequestBuilder {
        let path = format!("{}/{export}/{}/{source}/{what}", self.url, self.application.name);
        self.http.post(path).header("x-rh-exports-psk", &self.application.key)
    }
}

fn counted(ledger: &Ledger, response: reqwest::Result<Response>) -> Result<Response> {
    ledger.note(|books| match &response {
        Err(_) => books.unanswered += 1,
        Ok(response) => {
            books.answers += 1;
            match response.status() {
                StatusCode::SERVICE_UNAVAILABLE => books.unavailable += 1,
                status if status.is_server_error() => {
                    books.broken.push(format!("{} answered {status}", response.url()));
                }
                _ => {}
            }
        }
    });
    Ok(response?)
}

/// The answer while something is away that the service needs.
pub(crate) fn expect_unavailable(answer: &Response) {
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key("retry-after"));
}
