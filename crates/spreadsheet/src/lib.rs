//! CSV (RFC 4180) made safe and readable for spreadsheets, while it streams by.
//!
//! A spreadsheet runs a cell that begins like a formula, and takes UTF-8 for the code page of its country
//! unless a byte order mark says otherwise. [`Csv`] mends both without a second look at the data: a chunk goes
//! in, a chunk comes out, and every byte that need not change stays as it is.

mod number;
mod scan;

use scan::Scanner;

/// The UTF-8 byte order mark.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// What a file in UTF-16 begins with, in either order of its bytes.
const UTF_16: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// The file says that it is in UTF-16, in which none of its cells would be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Utf16;

/// What a state begins with before anything is known of the first cell. Others begin with their place.
const AT_THE_BEGINNING: u8 = b'b';

/// What is done to the data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CsvOptions {
    /// A cell that begins with `=`, `+`, `-`, `@`, a tab or a carriage return gets a `'` before it, which
    /// spreadsheets show or hide but never run. Numbers stay numbers.
    pub formula_guard: bool,
    /// The data begins with a byte order mark.
    pub bom: bool,
}

impl CsvOptions {
    /// Whether anything is done at all.
    pub const fn any(self) -> bool {
        self.formula_guard || self.bom
    }
}

/// Bytes that are no state of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the state of a CSV file")]
pub struct InvalidState;

/// One CSV file on its way.
#[derive(Debug)]
pub struct Csv {
    options: CsvOptions,
    /// The first bytes of the file, until it is known whether they are a byte order mark.
    beginning: Option<Vec<u8>>,
    scanner: Scanner,
}

impl Csv {
    /// The beginning of a file.
    pub fn new(options: CsvOptions) -> Self {
        Self { options, beginning: Some(Vec::new()), scanner: Scanner::default() }
    }

    /// What is behind the bytes so far as few bytes (65 at most), to go on from in another process.
    pub fn to_bytes(&self) -> Vec<u8> {
        match &self.beginning {
            Some(beginning) => [&[AT_THE_BEGINNING], beginning.as_slice()].concat(),
            None => self.scanner.to_bytes(),
        }
    }

    /// Goes on from what [`Csv::to_bytes`] gave, with the same options.
    ///
    /// # Errors
    /// When it did not.
    pub fn from_bytes(options: CsvOptions, state: &[u8]) -> Result<Self, InvalidState> {
        let new = Self::new(options);
        match state.split_first() {
            Some((&AT_THE_BEGINNING, beginning)) if beginning.len() < BOM.len() => {
                Ok(Self { beginning: Some(beginning.to_vec()), ..new })
            }
            _ => Ok(Self { beginning: None, scanner: Scanner::from_bytes(state)?, ..new }),
        }
    }

    /// Takes the next bytes of the file, cut anywhere, and appends to `out` what is known by then of the
    /// result: all but 64 bytes at most.
    ///
    /// # Errors
    /// [`Utf16`]: the file must be in UTF-8, or another code of which ASCII is a part.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Utf16> {
        let Some(beginning) = &mut self.beginning else {
            self.body(bytes, out);
            return Ok(());
        };
        let missing = BOM.len().saturating_sub(beginning.len()).min(bytes.len());
        let (head, rest) = bytes.split_at(missing);
        beginning.extend_from_slice(head);
        let marks = UTF_16.into_iter().chain([BOM]);
        if marks.into_iter().any(|mark| mark.len() > beginning.len() && mark.starts_with(beginning)) {
            return Ok(());
        }
        self.begin(out)?;
        self.body(rest, out);
        Ok(())
    }

    /// Appends what was held back. The file has ended.
    ///
    /// # Errors
    /// [`Utf16`], for a file of three bytes at most.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<(), Utf16> {
        self.begin(out)?;
        self.scanner.finish(out);
        Ok(())
    }

    /// Passes the beginning on. A byte order mark is no part of the first cell.
    fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), Utf16> {
        let Some(beginning) = self.beginning.take() else { return Ok(()) };
        if UTF_16.into_iter().any(|mark| beginning.starts_with(mark)) {
            return Err(Utf16);
        }
        let is_bom = beginning == BOM;
        if self.options.bom || is_bom {
            out.extend_from_slice(BOM);
        }
        if !is_bom {
            self.body(&beginning, out);
        }
        Ok(())
    }

    fn body(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if self.options.formula_guard {
            self.scanner.push(bytes, out);
        } else {
            out.extend_from_slice(bytes);
        }
    }
}
