//! Every id of the contract is named by a test: its name, or one of the names joined in it, is the id.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The ids of contract pages 1 and 2, as names of tests write them. A row `S0-2…S0-9` stands for each of its
/// ids.
const IDS: [&str; 76] = [
    // Request event
    "s0_2",
    "s0_3",
    "s0_4",
    "s0_5",
    "s0_6",
    "s0_7",
    "s0_8",
    "s0_9",
    "s0_10",
    "s0_11",
    "s0_12",
    "s0_13",
    "s0_14",
    "s0_15",
    "s0_16",
    "s0_52",
    // Internal API
    "s0_17",
    "s0_17b",
    "s0_18",
    "s0_19",
    "s0_47",
    "s0_47b",
    "s0_47c",
    "s0_48",
    "s0_deadline",
    "s0_tus",
    "s0_ping",
    // Customers' API
    "s0_20",
    "s0_21",
    "s0_25",
    "s0_26",
    "s0_27",
    "s0_28",
    "s0_29",
    "s0_30",
    "s0_42",
    "s0_41",
    "s0_44",
    "s0_status",
    "s0_46",
    "s0_expired",
    "s0_source_expired",
    "s0_24",
    "s0_33",
    "s0_retry",
    "s0_apps",
    "s0_43",
    "s0_40",
    // Console and onboarding
    "s0_22",
    "s0_23",
    "s0_31",
    "s1_1",
    "s1_2",
    "s0_examples",
    // Where seed and field disagree
    "x1",
    "x2",
    "x3",
    "x4",
    "x5",
    "x6",
    "x7",
    "x8",
    "x9",
    "x10",
    "x11",
    // Announcements
    "s2_3",
    "s2_4",
    "s2_5",
    "s2_6",
    "s2_7",
    "s2_8",
    "s2_9",
    "s2_10",
    "s2_11",
    "s2_12",
    "s2_15",
];

/// Ids that no test can name yet, and why.
const SET_ASIDE: [(&str, &str); 2] =
    [("s0_22", "the console comes later"), ("s0_23", "the console comes later")];

#[test]
fn every_id_of_the_contract_is_named_by_a_test() {
    let names = names_of_tests();
    let aside: BTreeSet<&str> = SET_ASIDE.iter().map(|(id, _)| *id).collect();
    let named: BTreeSet<&str> = IDS
        .into_iter()
        .filter(|id| names.iter().any(|name| ids_of(name).contains(&(*id).to_owned())))
        .collect();
    let missing: Vec<&str> =
        IDS.into_iter().filter(|id| !named.contains(id) && !aside.contains(id)).collect();
    assert!(missing.is_empty(), "no test names {missing:?}");
    let done: Vec<&&str> = aside.intersection(&named).collect();
    assert!(done.is_empty(), "{done:?} is set aside, yet a test names it");
}

#[test]
fn the_ids_in_a_name_are_read() {
    assert_eq!(ids_of("s0_47c_identical_reupload_is_welcome"), ["s0_47c"]);
    assert_eq!(ids_of("s0_source_expired_when_all_have"), ["s0_source_expired"]);
    assert_eq!(ids_of("s0_10_x1_the_data"), ["s0_10", "x1"]);
    assert_eq!(ids_of("s0_2_to_s0_4_an_event"), ["s0_2", "s0_3", "s0_4"]);
    assert_eq!(ids_of("s2_9_to_s2_11_a_record"), ["s2_9", "s2_10", "s2_11"]);
    assert_eq!(ids_of("a_name_without_s0_2"), [""; 0]);
}

/// The ids at the beginning of a test's name; `s0_2_to_s0_4` means those between as well.
fn ids_of(name: &str) -> Vec<String> {
    let (mut found, mut rest, mut span): (Vec<String>, _, _) = (Vec::new(), name, false);
    loop {
        let longest = IDS
            .iter()
            .filter(|id| rest == **id || rest.starts_with(&format!("{id}_")))
            .max_by_key(|id| id.len());
        let Some(id) = longest else { return found };
        if let (true, Some(first)) = (span, found.last()) {
            let (page, first) = first.rsplit_once('_').unwrap();
            let (_, last) = id.rsplit_once('_').unwrap();
            let between = first.parse::<u32>().unwrap() + 1..last.parse().unwrap();
            found.extend(between.map(|number| format!("{page}_{number}")).collect::<Vec<_>>());
        }
        found.push((*id).to_owned());
        rest = rest[id.len()..].trim_start_matches('_');
        span = rest.starts_with("to_");
        rest = rest.strip_prefix("to_").unwrap_or(rest);
    }
}

fn names_of_tests() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut names = BTreeSet::new();
    for area in ["crates", "services", "e2e", "examples", "tools"] {
        for file in rust_files(&root.join(area)) {
            let text = fs::read_to_string(&file).unwrap();
            let mut lines = text.lines().map(str::trim);
            while let Some(line) = lines.next() {
                if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                    let function = lines.find(|line| line.contains("fn ")).unwrap_or_default();
                    let name = function.split("fn ").nth(1).and_then(|rest| rest.split('(').next());
                    names.extend(name.map(str::to_owned));
                }
            }
        }
    }
    names
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}
