//! The alerts that operators start from.

use std::{collections::BTreeSet, fs, path::Path};

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

/// The texts of all programs, in which metrics are known by their quoted names.
fn sources(folder: &Path, found: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

/// What stands before each `{` of a selector.
fn metrics(alerts: &str) -> BTreeSet<&str> {
    let ends = alerts.split('{').map(|text| {
        let begin = text.rfind(|c: char| !c.is_ascii_lowercase() && c != '_').map_or(0, |last| last + 1);
        &text[begin..]
    });
    ends.filter(|name| !name.is_empty()).collect()
}

#[test]
fn alerts_ask_for_metrics_that_there_are_and_each_has_its_place_in_the_runbook() {
    let (alerts, runbook) = (read("docs/examples/alerts.yaml"), read("docs/operations.md"));
    let mut programs = String::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../services"), &mut programs);
    let metrics = metrics(&alerts);
    assert!(metrics.len() >= 5, "{metrics:?}");
    for metric in metrics {
        assert!(programs.contains(&format!("\"{metric}\"")), "no service tells `{metric}`");
        assert!(runbook.contains(metric), "docs/operations.md does not know `{metric}`");
    }
    let names: Vec<_> = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(names.len() >= 10, "{names:?}");
    for name in names {
        assert!(
            runbook.contains(&format!("| `{name}` |")),
            "docs/operations.md does not say what to do at {name}"
        );
    }
}
