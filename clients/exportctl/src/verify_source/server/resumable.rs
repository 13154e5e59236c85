//! Resumable uploads, as the platform takes them (S0-tus): tus 1.0.0 with creation, creation-with-upload,
//! creation-defer-length and termination. What a script does to a post, it does to the requests that bring data.

use std::io::SeekFrom;

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    http::{
        Method, StatusCode,
        header::{self, HeaderName, HeaderValue},
    },
    web,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio::io::AsyncSeekExt as _;
use uuid::Uuid;

use super::{Expected, InternalApi, Post, header_text, refuse};
use crate::verify_source::{
    case::{Case, Settled},
    post::{Body, Head},
    receive::{self, MAX_BYTES, Reading},
    request::random_id,
    script::Behaviour,
    target::{Action, Target},
    upload::{Refusal, Upload},
};

const VERSION: &str = "1.0.0";
const EXTENSIONS: &str = "creation,creation-with-upload,creation-defer-length,termination";
const MEDIA_TYPE: &str = "application/offset+octet-stream";

/// One request for a resumable upload.
pub(super) struct Call<'a> {
    pub(super) api: &'a InternalApi,
    pub(super) req: &'a HttpRequest,
    pub(super) target: &'a Target,
    pub(super) head: Head,
}

/// The method of a request. Surroundings that know GET and POST only name others in a header.
pub(super) fn method(req: &HttpRequest) -> Method {
    let named = req.headers().get("x-http-method-override").filter(|_| req.method() == Method::POST);
    let named = named.and_then(|method| Method::from_bytes(method.as_bytes()).ok());
    named.unwrap_or_else(|| req.method().clone())
}

/// Does what the request asks for.
pub(super) async fn answer(call: Call<'_>, payload: web::Payload) -> HttpResponse {
    let mut response = match call.answer(payload).await {
        Ok(response) => response,
        Err(refusal) => {
            call.note(refusal);
            refuse(refusal.status, None)
        }
    };
    for name in ["tus-resumable", "tus-version"] {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(VERSION));
    }
    response
}

impl Call<'_> {
    async fn answer(&self, payload: web::Payload) -> Result<HttpResponse, Refusal> {
        let method = method(self.req);
        self.with_case(|case| case.note_call(self.head.clone()))?;
        if method == Method::OPTIONS {
            return Ok(options());
        }
        if self.text("tus-resumable").as_deref() != Some(VERSION) {
            return Err(Refusal::misuse(412, "Tus-Resumable was not 1.0.0"));
        }
        if self.with_case(|case| matches!(case.answer(), Some(Settled::Error(_))))? {
            return Err(Refusal::of(410));
        }
        match (self.target.action, method) {
            (Action::Resume(id), Method::HEAD) => self.with_upload(id, |upload| inspect(upload)),
            (Action::Resume(id), Method::DELETE) => self.end(id),
            (Action::Resume(id), _) => self.go_on(id, payload).await,
            _ => self.begin(payload).await,
        }
    }

    async fn begin(&self, payload: web::Payload) -> Result<HttpResponse, Refusal> {
        let length_bytes = self.bytes("upload-length")?;
        let deferred = self.text("upload-defer-length");
        if length_bytes.is_some() == deferred.is_some() || deferred.is_some_and(|one| one != "1") {
            return Err(Refusal::misuse(400, "it had not one of Upload-Length and Upload-Defer-Length: 1"));
        }
        let file = tempfile::tempfile().map_err(|_| Refusal::of(503))?;
        let (id, upload) = (random_id(), Upload::begin(file, length_bytes, self.text("upload-metadata"))?);
        if !self.with_case(|case| case.begin_upload(id, upload))? {
            return Err(Refusal::of(404));
        }
        let location = format!("{}/{id}", self.req.path());
        if !self.is_data() && length_bytes != Some(0) {
            return Ok(progress(HttpResponse::Created(), 0)
                .insert_header((header::LOCATION, location))
                .finish());
        }
        let mut response = self.add(id, 0, payload).await?;
        if response.status() == StatusCode::NO_CONTENT {
            *response.status_mut() = StatusCode::CREATED;
            let location = HeaderValue::try_from(location).map_err(|_| Refusal::of(400))?;
            response.headers_mut().insert(header::LOCATION, location);
        }
        Ok(response)
    }

    async fn go_on(&self, id: Uuid, payload: web::Payload) -> Result<HttpResponse, Refusal> {
        if !self.is_data() {
            return Err(Refusal::misuse(
                415,
                "its Content-Type was not application/offset+octet-stream, or it had a Content-Encoding",
            ));
        }
        let offset = self.bytes("upload-offset")?;
        let offset = offset.ok_or(Refusal::misuse(400, "it had no Upload-Offset"))?;
        self.add(id, offset, payload).await
    }

    fn end(&self, id: Uuid) -> Result<HttpResponse, Refusal> {
        if self.with_upload(id, |upload| upload.finished)? {
            return Err(Refusal::of(410));
        }
        self.with_case(|case| case.uploads.remove(&id))?;
        Ok(HttpResponse::NoContent().finish())
    }

    /// Adds the body to an upload, and meets it as the script of the case says.
    async fn add(&self, id: Uuid, offset: u64, payload: web::Payload) -> Result<HttpResponse, Refusal> {
        let length_bytes = self.bytes("upload-length")?;
        if !self.with_upload(id, |upload| upload.go_on(offset, length_bytes))?? {
            return Ok(progress(HttpResponse::NoContent(), offset).finish());
        }
        let _busy = Busy { call: self, id };
        let (post, format) = self.post(id, offset)?;
        let body = match self.receive(id, &post, payload).await? {
            Body::Unread if self.with_upload(id, |upload| upload.is_whole())? => {
                self.look(id, format).await?
            }
            body => body,
        };
        let (partial, broken) = (body == Body::Unread, matches!(body, Body::Broken(_)));
        self.api.ledger.received(post.export_id, post.attempt, body);
        if broken {
            // Nobody reads this. What has arrived counts.
            return Ok(refuse(400, None));
        }
        match post.follow_script(self.api, self.req).await {
            Err(response) => Ok(response),
            Ok(mut post) if partial => {
                post.status = Some(204);
                let offset = self.with_upload(id, |upload| {
                    upload.attempt = Some(post.attempt);
                    upload.offset_bytes
                })?;
                Ok(progress(HttpResponse::NoContent(), offset).finish())
            }
            Ok(post) => self.settle(id, post),
        }
    }

    /// The post that the request is of: the one before goes on, or another begins after a failure.
    fn post(&self, id: Uuid, offset: u64) -> Result<(Post<'_>, String), Refusal> {
        let (ledger, export_id) = (&self.api.ledger, self.target.export_id);
        let (before, metadata) =
            self.with_upload(id, |upload| (upload.attempt.take(), upload.metadata.clone()))?;
        let (attempt, behaviour, format) = if let Some(attempt) = before {
            (attempt, Behaviour::Platform, self.with_case(|case| case.request.format.clone())?)
        } else {
            let content_type = metadata.as_deref().and_then(content_type);
            let piece = Some((id, offset));
            let head = Head { content_type, chunked: true, piece, ..self.head.clone() };
            ledger.begin(export_id, head).ok_or(Refusal::of(404))?
        };
        Ok((Post { ledger, export_id, attempt, behaviour, status: None }, format))
    }

    /// Reads the body into the upload; what is refused does not count. [`Body::Unread`] when it came to its end.
    async fn receive(&self, id: Uuid, post: &Post<'_>, payload: web::Payload) -> Result<Body, Refusal> {
        let (file, offset, length_bytes) = self.with_upload(id, |upload| {
            (upload.file.try_clone(), upload.offset_bytes, upload.length_bytes())
        })?;
        let mut file = tokio::fs::File::from_std(file.map_err(|_| Refusal::of(503))?);
        file.seek(SeekFrom::Start(offset)).await.map_err(|_| Refusal::of(503))?;
        let most_bytes = length_bytes.unwrap_or(MAX_BYTES).saturating_sub(offset);
        let reading = Reading { pace: post.pace(), idle_timeout: self.api.idle_timeout, most_bytes };
        let counts = !matches!(post.behaviour, Behaviour::Refuse(..));
        let arrived = |bytes| {
            // An upload that was ended meanwhile has no use for them.
            let _ = self.with_upload(id, |upload| upload.offset_bytes += if counts { bytes } else { 0 });
        };
        match receive::add(payload, reading, &mut file, arrived).await {
            Ok(()) => Ok(Body::Unread),
            Err(Body::TooLarge) if length_bytes.is_some() => {
                Err(Refusal::misuse(400, "it brought more bytes than Upload-Length says"))
            }
            Err(body) => Ok(body),
        }
    }

    async fn look(&self, id: Uuid, format: String) -> Result<Body, Refusal> {
        let file = self.with_upload(id, |upload| {
            // Longer than what counts, when more was refused before.
            upload.file.set_len(upload.offset_bytes)?;
            upload.file.try_clone()
        })?;
        let file = file.map_err(|_| Refusal::of(503))?;
        Ok(receive::look(file, Expected { action: Action::Upload, format, gzip: false }).await)
    }

    /// Answers the request that brought the last byte, or one that broke off.
    fn settle(&self, id: Uuid, mut post: Post<'_>) -> Result<HttpResponse, Refusal> {
        let status = self.api.ledger.settle(post.export_id, post.attempt);
        if status != 202 {
            if status != 408 {
                self.with_case(|case| case.uploads.remove(&id))?;
            }
            return Ok(post.answer(status, None));
        }
        post.status = Some(204);
        let offset = self.with_upload(id, |upload| {
            upload.finished = true;
            upload.offset_bytes
        })?;
        Ok(progress(HttpResponse::NoContent(), offset).finish())
    }

    fn with_case<T>(&self, change: impl FnOnce(&mut Case) -> T) -> Result<T, Refusal> {
        self.api.ledger.with_case(self.target.export_id, change).ok_or(Refusal::of(404))
    }

    fn with_upload<T>(&self, id: Uuid, change: impl FnOnce(&mut Upload) -> T) -> Result<T, Refusal> {
        self.with_case(|case| case.uploads.get_mut(&id).map(change))?.ok_or(Refusal::of(404))
    }

    /// Keeps what was wrong with a request.
    fn note(&self, refusal: Refusal) {
        let Some(what) = refusal.misuse else { return };
        let what = format!("a {} was refused with {}: {what}", method(self.req), refusal.status);
        self.api.ledger.with_case(self.target.export_id, |case| case.misuse.get_or_insert(what).len());
    }

    fn text(&self, name: &'static str) -> Option<String> {
        header_text(self.req.headers(), &HeaderName::from_static(name))
    }

    fn bytes(&self, name: &'static str) -> Result<Option<u64>, Refusal> {
        let wrong = Refusal::misuse(400, "Upload-Length or Upload-Offset was no number");
        self.text(name).map(|text| text.parse().map_err(|_| wrong)).transpose()
    }

    /// Whether the body is data of an upload, as it is.
    fn is_data(&self) -> bool {
        self.head.content_encoding.is_none() && self.head.content_type.as_deref() == Some(MEDIA_TYPE)
    }
}

/// A request that adds to an upload. Should the application break off, the server drops the handler, and this
/// lets the next request in.
struct Busy<'a> {
    call: &'a Call<'a>,
    id: Uuid,
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        // An upload that was ended meanwhile lets nobody in.
        let _ = self.call.with_upload(self.id, |upload| upload.busy = false);
    }
}

fn options() -> HttpResponse {
    HttpResponse::NoContent()
        .insert_header(("Tus-Extension", EXTENSIONS))
        .insert_header(("Tus-Max-Size", MAX_BYTES))
        .finish()
}

fn inspect(upload: &Upload) -> HttpResponse {
    let mut response = progress(HttpResponse::Ok(), upload.offset_bytes);
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    match upload.shown_length_bytes() {
        Some(length) => response.insert_header(("Upload-Length", length)),
        None => response.insert_header(("Upload-Defer-Length", 1)),
    };
    if let Some(metadata) = &upload.metadata {
        response.insert_header(("Upload-Metadata", metadata.as_str()));
    }
    response.finish()
}

fn progress(mut response: HttpResponseBuilder, offset_bytes: u64) -> HttpResponseBuilder {
    response.insert_header(("Upload-Offset", offset_bytes));
    response
}

/// The type of the data by `Upload-Metadata`, under the name that clients use.
fn content_type(metadata: &str) -> Option<String> {
    let named = metadata.split(',').find_map(|entry| entry.trim().strip_prefix("filetype "))?;
    String::from_utf8(STANDARD.decode(named.trim()).ok()?).ok()
}

#[cfg(test)]
mod tests;
