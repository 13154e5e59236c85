//! The headers of the protocol.

use std::time::SystemTime;

use actix_web::{
    HttpResponseBuilder,
    http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HttpDate},
};
use chrono::{DateTime, Utc};

use super::error::ResumableError;

/// The version of the protocol.
pub(super) const VERSION: &str = "1.0.0";

/// The parts of the protocol beyond its core.
pub(super) const EXTENSIONS: &str =
    "creation,creation-with-upload,creation-defer-length,checksum,termination,expiration";

/// What a body of data calls itself.
pub(super) const MEDIA_TYPE: &str = "application/offset+octet-stream";

/// Longest `Upload-Metadata`, in bytes.
const MAX_METADATA_BYTES: usize = 4096;

/// The value of a header that is there once and is text.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &'static str) -> Option<&'a str> {
    let mut values = headers.get_all(name);
    let (value, another) = (values.next()?, values.next());
    if another.is_some() { None } else { value.to_str().ok().map(str::trim) }
}

/// A number of bytes; None when the header is absent.
pub(super) fn bytes(headers: &HeaderMap, name: &'static str) -> Result<Option<u64>, ResumableError> {
    if !headers.contains_key(name) {
        return Ok(None);
    }
    let digits = text(headers, name).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let number =
        digits.and_then(|digits| digits.parse().ok()).filter(|number| i64::try_from(*number).is_ok());
    number.map(Some).ok_or(ResumableError::InvalidHeader(name))
}

/// The length of an upload that begins; None when it will be told later.
pub(super) fn length(headers: &HeaderMap) -> Result<Option<u64>, ResumableError> {
    let deferred = headers.contains_key("Upload-Defer-Length");
    match (bytes(headers, "Upload-Length")?, deferred) {
        (Some(length), false) => Ok(Some(length)),
        (None, true) if text(headers, "Upload-Defer-Length") == Some("1") => Ok(None),
        _ => Err(ResumableError::NoLength),
    }
}

/// `Upload-Metadata` as it came, to be given back: nothing here reads it.
pub(super) fn metadata(headers: &HeaderMap) -> Result<Option<String>, ResumableError> {
    const NAME: &str = "Upload-Metadata";
    if !headers.contains_key(NAME) {
        return Ok(None);
    }
    let value = text(headers, NAME).filter(|text| text.len() <= MAX_METADATA_BYTES);
    value.map(|text| Some(text.to_owned())).ok_or(ResumableError::InvalidHeader(NAME))
}

/// The length of the body; None when it comes in chunks.
pub(super) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Whether the body is data of an upload, as it is.
pub(super) fn is_data(headers: &HeaderMap) -> bool {
    let plain =
        headers.get_all(CONTENT_ENCODING).all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    plain && text(headers, CONTENT_TYPE.as_str()).is_some_and(|kind| kind.eq_ignore_ascii_case(MEDIA_TYPE))
}

/// Adds where the upload goes on, and until when.
pub(super) fn progress(response: &mut HttpResponseBuilder, offset_bytes: u64, expires_at: DateTime<Utc>) {
    let expires = HttpDate::from(SystemTime::from(expires_at)).to_string();
    response.insert_header(("Upload-Offset", offset_bytes)).insert_header(("Upload-Expires", expires));
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn an_upload_has_a_length_or_says_that_it_comes_later() {
        assert_eq!(length(&headers(&[("upload-length", "12")])), Ok(Some(12)));
        assert_eq!(length(&headers(&[("upload-defer-length", "1")])), Ok(None));
        for refused in [
            &[][..],
            &[("upload-defer-length", "2")],
            &[("upload-length", "1"), ("upload-defer-length", "1")],
            &[("upload-length", "-1")],
            &[("upload-length", "+1")],
            &[("upload-length", "")],
            &[("upload-length", "1"), ("upload-length", "1")],
            &[("upload-length", "9223372036854775808")],
        ] {
            assert!(length(&headers(refused)).is_err(), "{refused:?}");
        }
    }

    #[test]
    fn data_is_of_the_type_of_the_protocol_and_not_encoded() {
        let kind = ("content-type", MEDIA_TYPE);
        assert!(is_data(&headers(&[kind])));
        assert!(is_data(&headers(&[kind, ("content-encoding", "identity")])));
        for refused in [&[][..], &[("content-type", "text/csv")], &[kind, ("content-encoding", "gzip")]] {
            assert!(!is_data(&headers(refused)), "{refused:?}");
        }
    }
}
