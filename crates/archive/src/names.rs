//! Names of archive members that every common system can unpack, each to a file of its own, in the
//! folder that the user chose.
//!
//! A name is one path component: no folders, hence nothing absolute and no `..`. What Windows cannot
//! store (`\ : * ? " < > |`, device names such as `NUL`, dots and spaces at the end) is not in it,
//! nor are control characters or marks that change the direction of text (`evil\u{202e}txt.exe`); it
//! is in Unicode's composed form (NFC).
//! Two names never differ only by case or by the way a character is composed, because some file
//! systems take such names for one.

use std::collections::HashMap;

use icu_normalizer::ComposingNormalizerBorrowed;

/// Longest name, in bytes of UTF-8: leaves room for the path of the folder below the 260 characters
/// of old Windows programs.
pub const MAX_NAME_BYTES: usize = 200;

/// What a name becomes of which nothing safe is left.
const UNNAMED: &str = "unnamed";

/// Stands for each character that a name must not hold.
const REPLACEMENT: char = '_';

/// The last part of a name, from its last dot, is kept when the name is shortened or numbered,
/// unless it is longer than this.
const MAX_EXTENSION_BYTES: usize = 16;

/// Names that Windows takes for devices, whatever extension follows.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "conin$", "conout$"];
/// …and these with one digit more.
const NUMBERED_DEVICES: [&str; 2] = ["com", "lpt"];

/// Gives names to the members of one archive.
#[derive(Debug, Clone, Default)]
pub struct MemberNames {
    /// Each name given, as [`fold`] writes it, with the number last tried for another of that name.
    given: HashMap<String, u32>,
}

impl MemberNames {
    /// No name given yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A name as close to `wanted` as is safe ([`is_safe`]) and does not clash with a name given
    /// before: forbidden characters are replaced by `_`, a name too long is shortened, a repeated
    /// `report.csv` becomes `report-2.csv`. Depends on nothing but the names wanted before.
    pub fn unique_safe_name(&mut self, wanted: &str) -> String {
        let name = safe(wanted);
        let folded = fold(&name);
        let Some(&last_tried) = self.given.get(&folded) else {
            self.given.insert(folded, 1);
            return name;
        };
        let mut number = last_tried;
        let (unique, unique_folded) = loop {
            number += 1;
            let candidate = numbered(&name, number);
            let candidate_folded = fold(&candidate);
            if !self.given.contains_key(&candidate_folded) {
                break (candidate, candidate_folded);
            }
        };
        self.given.insert(folded, number);
        self.given.insert(unique_folded, 1);
        unique
    }
}

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

/// The nearest safe name.
fn safe(wanted: &str) -> String {
    let composed = composer().normalize(wanted);
    let replaced: String = composed.chars().map(|c| if is_forbidden(c) { REPLACEMENT } else { c }).collect();
    let name = shortened(trimmed(&replaced), MAX_NAME_BYTES);
    match trimmed(&name) {
        "" => UNNAMED.to_owned(),
        device if is_device(device) => {
            trimmed(&shortened(&format!("{REPLACEMENT}{device}"), MAX_NAME_BYTES)).to_owned()
        }
        name => name.to_owned(),
    }
}

/// Canonical composition (NFC): one way to write a letter with its marks.
fn composer() -> ComposingNormalizerBorrowed<'static> {
    ComposingNormalizerBorrowed::new_nfc()
}

/// `name` with a number before its extension. `name` is safe, and so is the result.
fn numbered(name: &str, number: u32) -> String {
    let (stem, extension) = split_extension(name);
    let suffix = format!("-{number}{extension}");
    format!("{}{suffix}", truncated(stem, MAX_NAME_BYTES - suffix.len()))
}

/// `name` cut to `max_bytes`, before its extension if it has one.
fn shortened(name: &str, max_bytes: usize) -> String {
    if name.len() <= max_bytes {
        return name.to_owned();
    }
    let (stem, extension) = split_extension(name);
    format!("{}{extension}", truncated(stem, max_bytes - extension.len()))
}

/// The first at most `max_bytes` of `text` that are whole characters.
fn truncated(text: &str, max_bytes: usize) -> &str {
    &text[..text.floor_char_boundary(max_bytes)]
}

/// What stands before and from the last dot. The extension is empty if there is no dot, if the name
/// begins with it, or if what follows is too long to be an extension.
fn split_extension(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(dot) if dot > 0 && name.len() - dot <= MAX_EXTENSION_BYTES => name.split_at(dot),
        _ => (name, ""),
    }
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
