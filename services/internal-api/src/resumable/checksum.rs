//! The checksum that a request announces for its body.

use actix_web::http::header::HeaderMap;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::{error::ResumableError, headers};

/// Names of the algorithms, as clients are told them.
pub(super) const ALGORITHMS: &str = "sha1,sha256";

/// What a body must add up to.
#[derive(Debug, Clone)]
pub(super) struct Checksum {
    hash: Hash,
    expected: Vec<u8>,
}

#[derive(Debug, Clone)]
enum Hash {
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Checksum {
    /// The checksum of `Upload-Checksum`; None where there is no such header.
    pub(super) fn parse(from: &HeaderMap) -> Result<Option<Self>, ResumableError> {
        const NAME: &str = "Upload-Checksum";
        if !from.contains_key(NAME) {
            return Ok(None);
        }
        let invalid = ResumableError::InvalidHeader(NAME);
        let Some((algorithm, digest)) = headers::text(from, NAME).and_then(|text| text.split_once(' '))
        else {
            return Err(invalid);
        };
        let hash = match algorithm {
            "sha1" => Hash::Sha1(Sha1::new()),
            "sha256" => Hash::Sha256(Sha256::new()),
            _ => return Err(ResumableError::UnknownChecksum),
        };
        let expected = STANDARD.decode(digest).map_err(|_| invalid)?;
        Ok(Some(Self { hash, expected }))
    }

    /// Takes in what a connection had ready, a few KiB: microseconds.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match &mut self.hash {
            Hash::Sha1(hash) => hash.update(bytes),
            Hash::Sha256(hash) => hash.update(bytes),
        }
    }

    /// Whether that was all, and right.
    pub(super) fn holds(self) -> bool {
        let found = match self.hash {
            Hash::Sha1(hash) => hash.finalize().to_vec(),
            Hash::Sha256(hash) => hash.finalize().to_vec(),
        };
        found == self.expected
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn parse(value: &'static str) -> Result<Option<Checksum>, ResumableError> {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static("upload-checksum"), HeaderValue::from_static(value));
        Checksum::parse(&headers)
    }

    #[test]
    fn a_checksum_holds_for_its_bytes_only() {
        let mut right = parse("sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=").unwrap().unwrap();
        let mut wrong = right.clone();
        right.update(b"hello ");
        right.update(b"world");
        wrong.update(b"hello World");
        assert!(right.holds());
        assert!(!wrong.holds());
    }

    #[test]
    fn other_algorithms_and_no_base64_are_refused() {
        assert_eq!(parse("md5 AAAA").unwrap_err(), ResumableError::UnknownChecksum);
        for invalid in ["sha1", "sha1 ???", ""] {
            assert_eq!(
                parse(invalid).unwrap_err(),
                ResumableError::InvalidHeader("Upload-Checksum"),
                "{invalid}"
            );
        }
    }
}
