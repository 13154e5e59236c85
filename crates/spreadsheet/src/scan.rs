//! Where cells begin, and which of them begin like a formula.

use crate::{InvalidState, number};

/// Where in a file the next byte stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    /// Before the first byte of a cell.
    #[default]
    Start,
    /// Before the first byte within quotes.
    QuotedStart,
    /// In a cell whose beginning was looked at.
    Plain,
    /// Likewise, within quotes.
    Quoted,
    /// After a quote within quotes: the end of them, or half of a quote that is text.
    Quote,
    /// After `""` at the start of a cell: an empty cell, or one that only begins now.
    EmptyQuotes,
    /// In a cell that begins with a sign and may be a number.
    Number,
    /// Likewise, within quotes.
    QuotedNumber,
    /// After a quote behind what may be a number within quotes.
    NumberQuote,
}

/// Every place and how it is written down, which never changes: states outlive versions.
const WRITTEN: [(Place, u8); 9] = [
    (Place::Start, b's'),
    (Place::QuotedStart, b'S'),
    (Place::Plain, b'p'),
    (Place::Quoted, b'P'),
    (Place::Quote, b'q'),
    (Place::EmptyQuotes, b'e'),
    (Place::Number, b'n'),
    (Place::QuotedNumber, b'N'),
    (Place::NumberQuote, b'm'),
];

/// Passes bytes on and puts a guard before cells that begin like a formula.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    place: Place,
    /// What may be a number, from its sign on.
    held: Vec<u8>,
}

impl Scanner {
    /// The place, and what is held.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let place = WRITTEN.iter().filter(|(place, _)| *place == self.place).map(|(_, byte)| *byte);
        place.chain(self.held.iter().copied()).collect()
    }

    pub(crate) fn from_bytes(state: &[u8]) -> Result<Self, InvalidState> {
        let (written, held) = state.split_first().ok_or(InvalidState)?;
        let place = WRITTEN.iter().find(|(_, byte)| byte == written).ok_or(InvalidState)?.0;
        let holds = matches!(place, Place::Number | Place::QuotedNumber | Place::NumberQuote);
        if holds == held.is_empty() || held.len() > number::MAX_BYTES {
            return Err(InvalidState);
        }
        Ok(Self { place, held: held.to_vec() })
    }

    pub(crate) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            // Most bytes stand within a cell: they pass on together.
            let inert = match self.place {
                Place::Plain => rest.iter().position(|byte| matches!(byte, b',' | b'\r' | b'\n')),
                Place::Quoted => rest.iter().position(|byte| *byte == b'"'),
                _ => Some(0),
            };
            match inert {
                Some(0) => {
                    self.step(byte, out);
                    rest = after;
                }
                inert => {
                    let (text, behind) = rest.split_at(inert.unwrap_or(rest.len()));
                    out.extend_from_slice(text);
                    rest = behind;
                }
            }
        }
    }

    pub(crate) fn finish(mut self, out: &mut Vec<u8>) {
        self.settle(out);
        if self.place == Place::NumberQuote {
            out.push(b'"');
        }
    }

    fn step(&mut self, byte: u8, out: &mut Vec<u8>) {
        let next = match self.place {
            Place::Start if byte == b'"' => Place::QuotedStart,
            Place::QuotedStart if byte == b'"' => Place::EmptyQuotes,
            Place::Quoted if byte == b'"' => Place::Quote,
            Place::EmptyQuotes | Place::Quote if byte == b'"' => Place::Quoted,
            Place::Start | Place::EmptyQuotes | Place::Quote | Place::Plain if ends_cell(byte) => {
                Place::Start
            }
            Place::Start | Place::EmptyQuotes => return self.begin(byte, [Place::Plain, Place::Number], out),
            Place::QuotedStart => return self.begin(byte, [Place::Quoted, Place::QuotedNumber], out),
            Place::Quoted => Place::Quoted,
            Place::Plain | Place::Quote => Place::Plain,
            Place::Number | Place::QuotedNumber => return self.number(byte, out),
            Place::NumberQuote => return self.after_number(byte, out),
        };
        self.go_on(next, byte, out);
    }

    fn go_on(&mut self, place: Place, byte: u8, out: &mut Vec<u8>) {
        out.push(byte);
        self.place = place;
    }

    /// The first byte of a cell's text.
    fn begin(&mut self, byte: u8, [text, number]: [Place; 2], out: &mut Vec<u8>) {
        match byte {
            b'+' | b'-' => {
                self.held.push(byte);
                self.place = number;
            }
            b'=' | b'@' | b'\t' | b'\r' => {
                out.push(b'\'');
                self.go_on(text, byte, out);
            }
            _ => self.go_on(text, byte, out),
        }
    }

    /// A further byte of what may be a number.
    fn number(&mut self, byte: u8, out: &mut Vec<u8>) {
        if number::may_belong_to_number(byte) && self.held.len() < number::MAX_BYTES {
            return self.held.push(byte);
        }
        let quoted = self.place == Place::QuotedNumber;
        if quoted && byte == b'"' {
            self.place = Place::NumberQuote;
            return;
        }
        if !quoted && ends_cell(byte) {
            self.settle(out);
            return self.go_on(Place::Start, byte, out);
        }
        self.guard(out);
        self.go_on(if quoted { Place::Quoted } else { Place::Plain }, byte, out);
    }

    /// The byte after a quote behind what may be a number.
    fn after_number(&mut self, byte: u8, out: &mut Vec<u8>) {
        if ends_cell(byte) {
            self.settle(out);
        } else {
            self.guard(out);
        }
        out.push(b'"');
        self.place = Place::Quote;
        self.step(byte, out);
    }

    /// The cell with what is held has ended.
    fn settle(&mut self, out: &mut Vec<u8>) {
        if number::is_number(&self.held) {
            out.append(&mut self.held);
        } else {
            self.guard(out);
        }
    }

    /// What is held is no number.
    fn guard(&mut self, out: &mut Vec<u8>) {
        if !self.held.is_empty() {
            out.push(b'\'');
            out.append(&mut self.held);
        }
    }
}

/// Whether a byte outside of quotes ends a cell. A lone carriage return does too: spreadsheets read it so.
const fn ends_cell(byte: u8) -> bool {
    matches!(byte, b',' | b'\r' | b'\n')
}
