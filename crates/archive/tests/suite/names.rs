//! Names that every system can unpack.

use std::collections::HashSet;

use archive::names::{MAX_NAME_BYTES, MemberNames, is_safe};
use proptest::prelude::*;

fn name_for(wanted: &str) -> String {
    MemberNames::new().unique_safe_name(wanted)
}

#[test]
fn a_safe_name_stays_as_it_is() {
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
        assert_eq!(name_for(name), name);
    }
}

#[test]
fn a_name_cannot_leave_the_folder_it_is_unpacked_to() {
    for (wanted, name) in [
        ("/etc/passwd", "_etc_passwd"),
        ("../../etc/passwd", ".._.._etc_passwd"),
        ("..", "unnamed"),
        (".", "unnamed"),
        ("C:\\Windows\\win.ini", "C__Windows_win.ini"),
        ("\\\\server\\share", "__server_share"),
        ("a/../b", "a_.._b"),
    ] {
        assert!(!is_safe(wanted), "{wanted}");
        assert_eq!(name_for(wanted), name);
    }
}

#[test]
fn what_some_system_cannot_store_is_replaced() {
    for (wanted, name) in [
        ("a:b", "a_b"),
        ("a\0b\nc\u{7f}d\u{85}e", "a_b_c_d_e"),
        ("what?.json", "what_.json"),
        ("\"<*|>\"", "______"),
        ("report.csv.", "report.csv"),
        (" report.csv . ", "report.csv"),
        ("", "unnamed"),
        ("\u{202e}gpj.exe", "_gpj.exe"),
        ("zero\u{200b}width", "zero_width"),
        ("nai\u{308}ve.csv", "naïve.csv"),
    ] {
        assert!(!is_safe(wanted), "{wanted:?}");
        assert_eq!(name_for(wanted), name, "{wanted:?}");
    }
}

#[test]
fn names_of_windows_devices_are_avoided() {
    for (wanted, name) in [
        ("NUL", "_NUL"),
        ("con.json", "_con.json"),
        ("Aux.tar.gz", "_Aux.tar.gz"),
        ("COM1", "_COM1"),
        ("lpt9.csv", "_lpt9.csv"),
        ("com¹.csv", "_com¹.csv"),
        ("prn .txt", "_prn .txt"),
        ("CONIN$", "_CONIN$"),
    ] {
        assert!(!is_safe(wanted), "{wanted}");
        assert_eq!(name_for(wanted), name);
    }
}

#[test]
fn a_long_name_is_cut_between_characters_and_keeps_its_extension() {
    let name = name_for(&format!("{}.json", "ü".repeat(300)));
    assert_eq!(name, format!("{}.json", "ü".repeat(97)));
    assert_eq!(name_for(&"x".repeat(300)), "x".repeat(MAX_NAME_BYTES));
    let no_extension = format!("a.{}", "x".repeat(300));
    assert_eq!(name_for(&no_extension), no_extension[..MAX_NAME_BYTES]);
}

#[test]
fn a_device_is_not_uncovered_by_cutting_a_name() {
    let name = name_for(&format!("nul{}x", " ".repeat(300)));
    assert_eq!(name, "_nul");
}

#[test]
fn a_repeated_name_is_numbered_before_its_extension() {
    let mut names = MemberNames::new();
    let given: Vec<String> =
        ["a.csv", "a.csv", "A.CSV", "a-2.csv", "a", "a"].map(|name| names.unique_safe_name(name)).into();
    assert_eq!(given, ["a.csv", "a-2.csv", "A-3.CSV", "a-2-2.csv", "a", "a-2"]);
}

#[test]
fn names_that_a_file_system_takes_for_the_same_are_kept_apart() {
    for (one, other) in [
        ("Report", "rEPORT"),
        ("ÄRGER", "ärger"),
        ("stra\u{df}e", "STRASSE"),
        // The same letters, composed differently.
        ("caf\u{e9}", "cafe\u{301}"),
        // The Kelvin sign, which lower case makes a `k`.
        ("\u{212a}", "k"),
        ("\u{fb01}le", "file"),
    ] {
        let mut names = MemberNames::new();
        let first = names.unique_safe_name(one);
        let second = names.unique_safe_name(other);
        assert!(second.ends_with("-2"), "{one} gave {first}, {other} gave {second}");
    }
}

#[test]
fn the_same_name_can_be_given_as_often_as_there_are_entries() {
    let mut names = MemberNames::new();
    let long = "x".repeat(MAX_NAME_BYTES);
    let given: HashSet<String> =
        (0..70_000).map(|_| names.unique_safe_name(&long)).inspect(|name| assert!(is_safe(name))).collect();
    assert_eq!(given.len(), 70_000);
}

/// Mostly the characters that names go wrong with, close together so that they clash.
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
    fn any_name_becomes_a_safe_one(wanted in any_name()) {
        let name = name_for(&wanted);
        prop_assert!(is_safe(&name), "{:?} became {:?}", wanted, name);
        prop_assert!(!escapes_or_cannot_be_stored(&name), "{:?} became {:?}", wanted, name);
    }

    #[test]
    fn no_name_that_escapes_is_taken_for_safe(name in any_name()) {
        prop_assert!(!(is_safe(&name) && escapes_or_cannot_be_stored(&name)), "{:?}", name);
    }

    #[test]
    fn names_never_clash(wanted in prop::collection::vec(any_name(), 0..40)) {
        let mut names = MemberNames::new();
        let given: Vec<String> = wanted.iter().map(|wanted| names.unique_safe_name(wanted)).collect();
        let lower: HashSet<String> = given.iter().map(|name| name.to_lowercase()).collect();
        let upper: HashSet<String> = given.iter().map(|name| name.to_uppercase()).collect();
        prop_assert_eq!(lower.len(), given.len(), "{:?}", &given);
        prop_assert_eq!(upper.len(), given.len(), "{:?}", &given);
        prop_assert!(given.iter().all(|name| is_safe(name)), "{:?}", given);
    }

    #[test]
    fn the_same_wishes_give_the_same_names(wanted in prop::collection::vec(any_name(), 0..20)) {
        let give = || {
            let mut names = MemberNames::new();
            wanted.iter().map(|wanted| names.unique_safe_name(wanted)).collect::<Vec<_>>()
        };
        prop_assert_eq!(give(), give());
    }
}
