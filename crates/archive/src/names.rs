//! Names of archive members that every common system can unpack, each to a file of its own, in the
//! folder that the user chose.
//!
//! A name is one path component: no folders, hence nothing absolute and no `..`. What Windows cannot
//! store (`\ : * ? " < > |`, device names such as `NUL`, dots and spaces at the end) is not in it,
//! nor are control characters or marks that change the direction of text (`evil\u{202e}txt.exe`); it
//! is in Unicode's composed form (NFC).
//! Two names never differ only by case or by the way a character is composed, because some file
//! systems take such names for one.

use icu_normalizer::ComposingNormalizerBorrowed;

/// Longest name, in bytes of UTF-8: leaves room for the path of the folder below the 260 characters
/// of old Windows programs.
pub const MAX_NAME_BYTES: usize = 200;

/// Names that Windows takes for devices, whatever extension follows.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "conin$", "conout$"];
/// …and these with one digit more.
const NUMBERED_DEVICES: [&str; 2] = ["com", "lpt"];

/// Whether a file of this name can be unpacked everywhere (see the module).
pub fn is_safe(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= MAX_NAME_BYTES
        && !name.chars().any(is_forbidden)
        && name == trimmed(name)
        // Some programs compose what they unpack: only then is what they write what the name says.
        && composer().is_normalized(name)
        && !is_device(name)
}

/// The same for all names that some file system takes for the same: without regard to case and to
/// how characters are composed (NFKC, which is coarser than any file system).
pub(crate) fn fold(name: &str) -> String {
    let normalizer = ComposingNormalizerBorrowed::new_nfkc();
    // Upper case first: it unites what lower case keeps apart (`ß` and `ẞ`, `s` and `ſ`).
    let lower = normalizer.normalize(name).to_uppercase().to_lowercase();
    normalizer.normalize(&lower).into_owned()
}

/// Canonical composition (NFC): one way to write a letter with its marks.
fn composer() -> ComposingNormalizerBorrowed<'static> {
    ComposingNormalizerBorrowed::new_nfc()
}

/// Windows drops dots and spaces at the end; spaces at the beginning are lost on people.
fn trimmed(name: &str) -> &str {
    name.trim_start().trim_end_matches(|c: char| c == '.' || c.is_whitespace())
}

fn is_forbidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|')
        // Invisible, or changing the direction or the lines of text.
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Whether Windows takes `name` for a device. It looks at what stands before the first dot, without
/// spaces at its end.
fn is_device(name: &str) -> bool {
    let stem = fold(name.split('.').next().unwrap_or_default().trim_end());
    let numbered = |device: &&str| {
        stem.strip_prefix(*device).is_some_and(|rest| rest.len() == 1 && rest.as_bytes()[0].is_ascii_digit())
    };
    DEVICES.contains(&stem.as_str()) || NUMBERED_DEVICES.iter().any(numbered)
}
