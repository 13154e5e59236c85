//! A manifest into an HTTP answer. Nothing is built: the layout says which bytes the archive consists of,
//! and those asked for are streamed from where they lie.

use std::ops::Range;

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder, ResponseError as _,
    body::SizedStream,
    http::{
        Method, StatusCode,
        header::{
            ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_RANGE, ETAG, HeaderMap, HeaderName,
            HeaderValue, IF_MATCH, IF_NONE_MATCH, IF_RANGE, RANGE,
        },
    },
};
use archive::{
    gzip::Digest,
    preconditions::{self, Answer, Conditions, EntityTag},
    ranges,
    zip::{Entry, Layout},
};
use blobs::Blobs;
use bytes::Bytes;
use domain::Manifest;
use futures_util::stream;
use service::http::HttpError;

use crate::error::ApiError;

/// Answers a GET or HEAD for the archive that `manifest` freezes (RFC 9110).
///
/// # Errors
/// Before the first byte: 412, 503 with the storage away. Later a storage failure breaks the connection,
/// because the length that was promised is not reached.
pub(super) async fn serve_archive(
    blobs: &Blobs,
    manifest: &Manifest,
    req: &HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let layout = layout(manifest).map_err(|error| ApiError::Layout(manifest.export_id, error))?;
    let tag = EntityTag::strong(manifest.etag.clone()).map_err(HttpError::internal)?;
    let (total, headers) = (layout.total_bytes(), Headers { manifest, tag: &tag });
    match conditions(req.headers()).evaluate(method(req), &tag, total) {
        Answer::Whole => send(blobs, req, headers.begin(StatusCode::OK), &layout, 0..total).await,
        Answer::Part(part) => {
            let mut response = headers.begin(StatusCode::PARTIAL_CONTENT);
            response.insert_header((CONTENT_RANGE, ranges::content_range(&part, total)));
            send(blobs, req, response, &layout, part).await
        }
        Answer::NotModified => Ok(headers.begin(StatusCode::NOT_MODIFIED).finish()),
        Answer::PreconditionFailed => Err(ApiError::PreconditionFailed),
        Answer::RangeNotSatisfiable => Ok(range_not_satisfiable(total)),
    }
}

/// The archive as a list of segments. The same manifest gives the same bytes on every replica.
fn layout(manifest: &Manifest) -> Result<Layout, archive::zip::LayoutError> {
    let mut entries = vec![
        Entry::inline("meta.json", manifest.meta_json.clone()),
        Entry::inline("README.md", manifest.readme.clone()),
    ];
    entries.extend(manifest.members.iter().map(|member| {
        let digest = Digest { crc32: member.crc32, size_bytes: member.size_bytes };
        let (name, first) = (&member.name, (member.object_key.as_str(), member.stored_bytes));
        if member.further_pieces.is_empty() {
            return Entry::object(name, first.0, first.1, digest);
        }
        let further = member.further_pieces.iter();
        let further = further.map(|piece| (piece.object_key.as_str(), piece.stored_bytes));
        Entry::pieces(name, std::iter::once(first).chain(further), digest)
    }));
    Layout::new(entries, manifest.as_of)
}

async fn send(
    blobs: &Blobs,
    req: &HttpRequest,
    mut response: HttpResponseBuilder,
    layout: &Layout,
    part: Range<u64>,
) -> Result<HttpResponse, ApiError> {
    let length = part.end - part.start;
    if req.method() == Method::HEAD {
        // The length without the bytes: the server sends the head of this answer only.
        let nothing = stream::empty::<Result<Bytes, std::io::Error>>();
        return Ok(response.body(SizedStream::new(length, nothing)));
    }
    let bytes = blobs.open(layout.slice(part)).await?;
    Ok(response.body(SizedStream::new(length, bytes)))
}

struct Headers<'a> {
    manifest: &'a Manifest,
    tag: &'a EntityTag,
}

impl Headers<'_> {
    /// Begins an answer that is about the archive.
    fn begin(&self, status: StatusCode) -> HttpResponseBuilder {
        let mut response = HttpResponse::build(status);
        response
            .content_type("application/zip")
            .insert_header((ETAG, self.tag.to_string()))
            .insert_header((ACCEPT_RANGES, "bytes"))
            .insert_header((CACHE_CONTROL, "private, no-cache"))
            .insert_header((
                CONTENT_DISPOSITION,
                format!("attachment; filename=\"{}\"", self.manifest.archive_file_name),
            ));
        response
    }
}

fn range_not_satisfiable(total: u64) -> HttpResponse {
    let error = HttpError::new(StatusCode::RANGE_NOT_SATISFIABLE, format!("the archive has {total} bytes"));
    let mut response = error.error_response();
    if let Ok(range) = HeaderValue::from_str(&ranges::unsatisfied_range(total)) {
        response.headers_mut().insert(CONTENT_RANGE, range);
    }
    response
}

fn method(req: &HttpRequest) -> preconditions::Method {
    if req.method() == Method::HEAD { preconditions::Method::Head } else { preconditions::Method::Get }
}

fn conditions(headers: &HeaderMap) -> Conditions<'_> {
    let lines = |name: HeaderName| headers.get_all(name).map(HeaderValue::as_bytes).collect::<Vec<_>>();
    // Several lines of a header that has one value are not well-formed: as if there were none.
    let only = |name| match lines(name).as_slice() {
        [value] => Some(*value),
        _ => None,
    };
    Conditions {
        if_match: lines(IF_MATCH),
        if_none_match: lines(IF_NONE_MATCH),
        if_range: only(IF_RANGE),
        range: only(RANGE),
    }
}
