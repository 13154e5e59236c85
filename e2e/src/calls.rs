//! What customers and source applications do, in one line each.

use anyhow::{Context as _, Result};
use reqwest::{Body, Method, Response};
use serde_json::Value;

use crate::{Archive, Customer, SourceApplication, TestApp};

/// An answer, or why there is none.
pub type Answer = Result<Response, reqwest::Error>;

/// An export as its creation told it.
#[derive(Debug, Clone)]
pub struct Export {
    /// Whose it is.
    pub customer: Customer,
    /// Its id.
    pub id: String,
    /// Its sources, in the order of the request.
    pub sources: Vec<Source>,
    /// The body of the answer.
    pub body: Value,
}

/// A source of an export.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its id.
    pub id: String,
    /// The application that is asked.
    pub application: String,
    /// The path of the source below the base of the internal API: `/EXPORT/APPLICATION/SOURCE`.
    pub path: String,
}

impl Export {
    fn read(customer: &Customer, body: Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let id = text(&body["id"])?;
        let sources = body["sources"].as_array()?.iter().map(|source| {
            let (source_id, application) = (text(&source["id"])?, text(&source["application"])?);
            let path = format!("/{id}/{application}/{source_id}");
            Some(Source { id: source_id, application, path })
        });
        Some(Self { customer: customer.clone(), sources: sources.collect::<Option<_>>()?, id, body })
    }

    /// Its path below the base of the public API.
    pub fn path(&self) -> String {
        format!("/exports/{}", self.id)
    }
}

impl TestApp {
    /// Sends a create request.
    pub async fn try_create(&self, customer: &Customer, wanted: &Value) -> Answer {
        self.ask(customer, Method::POST, "/exports").json(wanted).send().await
    }

    /// Creates an export.
    ///
    /// # Panics
    /// When it is not accepted.
    pub async fn create(&self, customer: &Customer, wanted: &Value) -> Export {
        let body = json(self.try_create(customer, wanted).await, 202).await;
        match Export::read(customer, body) {
            Some(export) => export,
            None => panic!("the answer is not an export"),
        }
    }

    /// The status of an export.
    ///
    /// # Panics
    /// When it is not told.
    pub async fn status(&self, export: &Export) -> Value {
        let path = format!("{}/status", export.path());
        json(self.ask(&export.customer, Method::GET, &path).send().await, 200).await
    }

    /// A listing; `query` is empty or begins with `?`.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn list(&self, customer: &Customer, query: &str) -> Value {
        json(self.try_list(customer, query).await, 200).await
    }

    /// Asks for a listing.
    pub async fn try_list(&self, customer: &Customer, query: &str) -> Answer {
        self.ask(customer, Method::GET, &format!("/exports{query}")).send().await
    }

    /// Asks for the archive.
    pub async fn try_download(&self, export: &Export) -> Answer {
        self.ask(&export.customer, Method::GET, &export.path()).send().await
    }

    /// The archive.
    ///
    /// # Panics
    /// When it is not served, or not a zip archive.
    pub async fn download(&self, export: &Export) -> Archive {
        let response = expect(self.try_download(export).await, 200).await;
        match response.bytes().await {
            Ok(bytes) => Archive::read(bytes),
            Err(error) => panic!("the archive breaks off: {error:?}"),
        }
    }

    /// Deletes an export.
    pub async fn delete(&self, export: &Export) -> Answer {
        self.ask(&export.customer, Method::DELETE, &export.path()).send().await
    }

    /// Has a source asked once more.
    pub async fn retry(&self, export: &Export, source: &Source) -> Answer {
        let path = format!("{}/sources/{}/retry", export.path(), source.id);
        self.ask(&export.customer, Method::POST, &path).send().await
    }

    /// Delivers `body` for a source, with its application's key.
    pub async fn upload(&self, source: &Source, body: impl Into<Body>) -> Answer {
        let application = SourceApplication::named(&source.application);
        let path = format!("{}/upload", source.path);
        self.answer(&application, Method::POST, &path).body(body).send().await
    }

    /// Reports an error for a source, with its application's key.
    pub async fn report(&self, source: &Source, report: &Value) -> Answer {
        let application = SourceApplication::named(&source.application);
        let path = format!("{}/error", source.path);
        self.answer(&application, Method::POST, &path).json(report).send().await
    }

    /// Creates an export and delivers for each source what `content` says of its place.
    ///
    /// # Panics
    /// When something of it is refused.
    pub async fn complete(
        &self,
        customer: &Customer,
        wanted: &Value,
        content: impl Fn(usize) -> String,
    ) -> Export {
        let export = self.create(customer, wanted).await;
        for (place, source) in export.sources.iter().enumerate() {
            expect(self.upload(source, content(place)).await, 202).await;
        }
        export
    }
}

/// An answer that must have this status.
///
/// # Panics
/// When it has another, with its body.
pub async fn expect(answer: Answer, status: u16) -> Response {
    let response = match answer {
        Ok(response) => response,
        Err(error) => panic!("no answer: {error:?}"),
    };
    if response.status() != status {
        let (got, url) = (response.status(), response.url().clone());
        panic!("{url} answered {got} instead of {status}: {}", response.text().await.unwrap_or_default());
    }
    response
}

/// Calls until the caller is over its limit, and returns that refusal. On a busy machine a call may take so long
/// that the limit has refilled, and the next one passes.
///
/// # Panics
/// When it is never refused.
pub async fn call_until_limited(call: impl AsyncFn() -> Answer) -> Answer {
    for _ in 0..100 {
        let answer = call().await;
        if answer.as_ref().is_ok_and(|response| response.status() == 429) {
            return answer;
        }
    }
    panic!("the caller is never over its limit")
}

/// The JSON body of an answer that must have this status.
///
/// # Panics
/// When it has another, or its body is something else.
pub async fn json(answer: Answer, status: u16) -> Value {
    let response = expect(answer, status).await;
    let content_type = response.headers().get("content-type").cloned();
    assert!(content_type.is_some_and(|value| value == "application/json"), "not called JSON");
    match response.json().await.context("a JSON body") {
        Ok(body) => body,
        Err(error) => panic!("{error:#}"),
    }
}

/// The message of a refusal, which must have this status and the shape of all refusals (S0-43).
///
/// # Panics
/// When it is something else.
pub async fn refusal(answer: Answer, status: u16) -> String {
    let body = json(answer, status).await;
    assert_eq!(body["code"], status, "{body}");
    assert_eq!(body.as_object().map(serde_json::Map::len), Some(2), "{body}");
    match body["message"].as_str() {
        Some(message) if !message.is_empty() => message.to_owned(),
        _ => panic!("no message: {body}"),
    }
}
