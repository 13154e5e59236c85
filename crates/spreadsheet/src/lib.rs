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

    /// Takes the next bytes of the file, cut anywhere, and appends to `out` what is known by then of the
    /// result: all but 64 bytes at most.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let Some(beginning) = &mut self.beginning else { return self.body(bytes, out) };
        let missing = BOM.len().saturating_sub(beginning.len()).min(bytes.len());
        let (head, rest) = bytes.split_at(missing);
        beginning.extend_from_slice(head);
        if beginning.len() == BOM.len() || !BOM.starts_with(beginning) {
            self.begin(out);
            self.body(rest, out);
        }
    }

    /// Appends what was held back. The file has ended.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        self.begin(out);
        self.scanner.finish(out);
    }

    /// Passes the beginning on. A byte order mark is no part of the first cell.
    fn begin(&mut self, out: &mut Vec<u8>) {
        let Some(beginning) = self.beginning.take() else { return };
        let is_bom = beginning == BOM;
        if self.options.bom || is_bom {
            out.extend_from_slice(BOM);
        }
        if !is_bom {
            self.body(&beginning, out);
        }
    }

    fn body(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if self.options.formula_guard {
            self.scanner.push(bytes, out);
        } else {
            out.extend_from_slice(bytes);
        }
    }
}
