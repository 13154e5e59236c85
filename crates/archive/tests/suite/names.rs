//! Names that every system can unpack.

use archive::names::{MAX_NAME_BYTES, is_safe};
use proptest::prelude::*;

#[test]
fn usual_names_are_safe() {
    for name in [
        "meta.json",
        "README.md",
        "5a3b7c10-8f0e-4a3b-9f57-0a2f6f1d2c3b.csv",
        "Übersicht 2026.csv",
        "報告.json",
        ".hidden",
        "a..b",
        "-x",
        "console.txt",
        "com.txt",
        "com10.txt",
        "😀.json",
        "archive.tar.gz",
    ] {
        assert!(is_safe(name), "{name}");
    }
}

#[test]
fn a_name_that_leaves_the_folder_it_is_unpacked_to_is_not_safe() {
    for name in
        ["/etc/passwd", "../../etc/passwd", "..", ".", "C:\\Windows\\win.ini", "\\\\server\\share", "a/../b"]
    {
        assert!(!is_safe(name), "{name:?}");
    }
}

#[test]
fn what_some_system_cannot_store_is_not_safe() {
    for name in [
        "a:b",
        "a\0b\nc\u{7f}d\u{85}e",
        "what?.json",
        "\"<*|>\"",
        "report.csv.",
        " report.csv . ",
        "",
        "\u{202e}gpj.exe",
        "zero\u{200b}width",
        "nai\u{308}ve.csv",
    ] {
        assert!(!is_safe(name), "{name:?}");
    }
}

#[test]
fn names_of_windows_devices_are_not_safe() {
    for name in ["NUL", "con.json", "Aux.tar.gz", "COM1", "lpt9.csv", "com¹.csv", "prn .txt", "CONIN$"] {
        assert!(!is_safe(name), "{name:?}");
    }
}

#[test]
fn a_name_of_200_bytes_is_the_longest() {
    assert!(is_safe(&"x".repeat(MAX_NAME_BYTES)));
    assert!(!is_safe(&"x".repeat(MAX_NAME_BYTES + 1)));
}

/// Mostly the characters that names go wrong with.
fn any_name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[aA./\\\\: -]{0,4}",
        "(con|NUL|com1|LPT¹)[. ]{0,3}[a-c]{0,2}",
        "[a-bA-Bé\u{301}ßſ\u{212a}ﬁ2-]{1,4}(\\.[a-b]{1,2})?",
        "\\PC{190,260}",
        "(\\PC| |\\.){190,210}\\.csv",
        any::<String>(),
    ]
}

/// What the tests can say about a name without using the crate's own rules.
fn escapes_or_cannot_be_stored(name: &str) -> bool {
    let path = std::path::Path::new(name);
    let plain = path.components().eq([std::path::Component::Normal(name.as_ref())]);
    !plain
        || name.len() > 255
        || name.chars().any(|c| c.is_control() || "\\:*?\"<>|".contains(c))
        || name.ends_with(['.', ' '])
}

proptest! {
    #[test]
    fn no_name_that_escapes_is_taken_for_safe(name in any_name()) {
        prop_assert!(!(is_safe(&name) && escapes_or_cannot_be_stored(&name)), "{:?}", name);
    }
}
