//! Whether data is CSV as RFC 4180 has it. A scanner of our own, because readers of CSV forgive what this
//! has to find: stray quotes, lines of other lengths, carriage returns that end nothing.

use std::io::BufRead;

use super::Rows;

/// Counts the rows below the header that `reader` holds. Lines may end with LF alone, which is noted.
///
/// # Errors
/// What is wrong, for people.
pub(super) fn count_rows(mut reader: impl BufRead) -> Result<Rows, String> {
    let mut scan = Scan::default();
    loop {
        let bytes = reader.fill_buf().map_err(|error| format!("it cannot be read: {error}"))?;
        if bytes.is_empty() {
            return scan.end();
        }
        for byte in bytes {
            scan.take(*byte)?;
        }
        let taken = bytes.len();
        reader.consume(taken);
    }
}

/// Where in a field the scan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    #[default]
    LineStart,
    FieldStart,
    Plain,
    Quoted,
    /// After a quote in a quoted field: its end, or half of a doubled one.
    Quote,
    /// After a CR outside quotes.
    Return,
}

#[derive(Debug, Default)]
struct Scan {
    place: Place,
    /// Fields that ended in this line.
    fields: u64,
    lines: u64,
    columns: u64,
    bare_line_feeds: bool,
}

impl Scan {
    fn take(&mut self, byte: u8) -> Result<(), String> {
        use Place::{FieldStart, LineStart, Plain, Quote, Quoted, Return};
        self.place = match (self.place, byte) {
            (Quoted, b'"') => Quote,
            (Quoted, _) | (LineStart | FieldStart | Quote, b'"') => Quoted,
            (Return, b'\n') => return self.end_line(),
            (Return, _) => return Err(self.wrong("has a carriage return without a line feed")),
            (Plain, b'"') => return Err(self.wrong("has a quote inside a field that is not quoted")),
            (_, b',') => {
                self.fields += 1;
                FieldStart
            }
            (_, b'\r') => Return,
            (_, b'\n') => {
                self.bare_line_feeds = true;
                return self.end_line();
            }
            (Quote, _) => return Err(self.wrong("has text after the closing quote of a field")),
            (LineStart | FieldStart | Plain, _) => Plain,
        };
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), String> {
        let fields = self.fields + 1;
        if self.lines == 0 {
            self.columns = fields;
        } else if fields != self.columns {
            return Err(self.wrong(&format!("has {fields} columns, the header has {}", self.columns)));
        }
        self.lines += 1;
        self.fields = 0;
        self.place = Place::LineStart;
        Ok(())
    }

    fn end(mut self) -> Result<Rows, String> {
        match self.place {
            Place::LineStart => {}
            Place::Quoted => return Err(self.wrong("ends inside a quoted field")),
            Place::Return => return Err(self.wrong("ends with a carriage return without a line feed")),
            // The last line need not end with a line break.
            Place::FieldStart | Place::Plain | Place::Quote => self.end_line()?,
        }
        match self.lines {
            0 => Err("it is empty: not even a header".to_owned()),
            lines => Ok(Rows { rows: lines - 1, bare_line_feeds: self.bare_line_feeds }),
        }
    }

    fn wrong(&self, what: &str) -> String {
        format!("line {} {what}", self.lines + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rfc_4180_allows_passes() {
        for (text, rows) in [
            ("a,b\r\n", 0),
            ("a,b\r\n1,2", 1),
            ("a,b\r\n\"x,\"\"y\"\"\r\nz\",\r\n,\"\"\r\n", 2),
            ("a\r\n\r\n", 1),
        ] {
            let expected = Rows { rows, bare_line_feeds: false };
            assert_eq!(count_rows(text.as_bytes()), Ok(expected), "{text:?}");
        }
        assert!(count_rows(&b"a,b\n1,2\n"[..]).unwrap().bare_line_feeds);
    }

    #[test]
    fn what_it_does_not_allow_is_found_with_its_line() {
        for (text, line) in [
            ("", "it is empty"),
            ("a,b\r\n1\r\n", "line 2 has 1 columns, the header has 2"),
            ("a,b\r\n1,2,3\r\n", "line 2 has 3 columns"),
            ("a,b\r\n1,x\"y\r\n", "line 2 has a quote inside"),
            ("a,b\r\n\"1\"x,2\r\n", "line 2 has text after"),
            ("a,b\r\n1,\"2\r\n", "line 2 ends inside a quoted field"),
            ("a,b\r1,2\r", "line 1 has a carriage return"),
            ("a,b\r\n\r\n", "line 2 has 1 columns"),
        ] {
            let error = count_rows(text.as_bytes()).unwrap_err();
            assert!(error.contains(line), "{text:?}: {error}");
        }
    }
}
