//! An error on one line.

use std::{error::Error, fmt::Write as _};

/// The text of `error` and of each of its causes, joined by `: `, for one field of one log line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a String cannot fail.
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}
