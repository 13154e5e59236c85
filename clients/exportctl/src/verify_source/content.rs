//! What an upload held: its size, its digest, and whether it is what was asked for. Data of any size is
//! looked at from a file, piece by piece.

mod csv;
mod json;

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek as _},
};

use flate2::read::MultiGzDecoder;
use sha2::{Digest as _, Sha256};

/// Rows that were counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rows {
    /// How many, a header not counted.
    pub(crate) rows: u64,
    /// CSV whose lines end with LF instead of CRLF.
    pub(crate) bare_line_feeds: bool,
}

/// What an upload held, inflated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    /// In bytes.
    pub(crate) size_bytes: u64,
    /// SHA-256.
    pub(crate) sha256: [u8; 32],
    /// Its rows, or what is wrong with it, for people.
    pub(crate) rows: Result<Rows, String>,
}

/// Looks at the upload in `file`, which was asked for in `format`.
///
/// # Errors
/// When the file cannot be read, or was to be gzip and is not.
pub(crate) fn inspect(mut file: File, gzip: bool, format: &str) -> io::Result<Content> {
    file.rewind()?;
    let file = BufReader::new(file);
    let identity: Box<dyn Read> = if gzip { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    let mut measured = Measured {
        inner: identity,
        sha256: Sha256::new(),
        size_bytes: 0,
        text: Utf8::default(),
        failed: None,
    };
    let rows = match format {
        "json" => json::count_rows(BufReader::new(&mut measured)),
        "csv" => csv::count_rows(BufReader::new(&mut measured)),
        other => Err(format!("there is no format {other}")),
    };
    // What is wrong may be seen early; digest and size are of all.
    io::copy(&mut measured, &mut io::sink())?;
    if let Some(error) = measured.failed {
        return Err(error);
    }
    let rows = if measured.text.is_whole() { rows } else { Err("it is not UTF-8".to_owned()) };
    Ok(Content { size_bytes: measured.size_bytes, sha256: measured.sha256.finalize().into(), rows })
}

/// Measures what is read through it.
struct Measured<R> {
    inner: R,
    sha256: Sha256,
    size_bytes: u64,
    text: Utf8,
    /// Why it could not be read. Readers may take this for an error of theirs, and gzip says it only once.
    failed: Option<io::Error>,
}

impl<R: Read> Read for Measured<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match self.inner.read(buffer) {
            Ok(count) => count,
            Err(error) => {
                let copy = io::Error::new(error.kind(), error.to_string());
                self.failed.get_or_insert(error);
                return Err(copy);
            }
        };
        let bytes = &buffer[..count];
        self.sha256.update(bytes);
        self.size_bytes += count as u64;
        self.text.take(bytes);
        Ok(count)
    }
}

/// Whether bytes that come in pieces are UTF-8.
#[derive(Debug, Default)]
struct Utf8 {
    /// The first bytes of a character whose others are still to come.
    begun: Vec<u8>,
    broken: bool,
}

impl Utf8 {
    fn take(&mut self, bytes: &[u8]) {
        self.begun.extend_from_slice(bytes);
        match std::str::from_utf8(&self.begun) {
            Ok(_) => self.begun.clear(),
            Err(error) if error.error_len().is_none() => {
                self.begun.drain(..error.valid_up_to());
            }
            Err(_) => {
                self.broken = true;
                self.begun.clear();
            }
        }
    }

    fn is_whole(&self) -> bool {
        !self.broken && self.begun.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn inspected(bytes: &[u8], gzip: bool, format: &str) -> io::Result<Content> {
        let mut file = tempfile::tempfile()?;
        file.write_all(bytes)?;
        inspect(file, gzip, format)
    }

    #[test]
    fn gzip_is_the_same_as_what_it_holds() {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(b"[1, 2]").unwrap();
        let gzip = gzip.finish().unwrap();
        let plain = inspected(b"[1, 2]", false, "json").unwrap();
        assert_eq!((plain.size_bytes, plain.rows.clone().map(|found| found.rows)), (6, Ok(2)));
        assert_eq!(inspected(&gzip, true, "json").unwrap(), plain);
        assert!(inspected(&gzip[..gzip.len() - 9], true, "json").is_err());
        assert!(inspected(b"[1, 2]", true, "json").is_err());
    }

    #[test]
    fn digest_and_size_are_of_all_even_when_it_is_wrong_early() {
        let first = inspected(b"x,[1]", false, "json").unwrap();
        assert!(first.rows.is_err());
        assert_ne!(first.sha256, inspected(b"x,[2]", false, "json").unwrap().sha256);
        assert_eq!(first.size_bytes, 5);
    }

    #[test]
    fn text_is_utf_8_wherever_it_is_cut() {
        let mut text = Utf8::default();
        for byte in "aß€😀".as_bytes() {
            text.take(std::slice::from_ref(byte));
        }
        assert!(text.is_whole());
        assert!(inspected(b"a\r\n\xff\r\n", false, "csv").unwrap().rows.is_err());
        assert!(inspected(b"a\r\n\xe2\x82", false, "csv").unwrap().rows.is_err());
    }
}
