//! The program itself: its exit codes and what it prints.

use std::{
    net::TcpListener,
    process::{Command, Output},
};

use serde_json::Value;
use testkit::TestTopic;

use crate::support::Run;

fn exportctl(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_exportctl"));
    command.arg("verify-source").args(arguments).output().unwrap()
}

#[test]
fn wrong_usage_exits_with_2() {
    for arguments in [
        &[][..],
        &["--application", "a", "--resource", "r", "--filters", "[]"],
        &["--application", "a", "--resource", "r", "--identity", "{}"],
        &["--application", "a", "--resource", "r", "--only", "no-such-check"],
    ] {
        let output = exportctl(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stderr.is_empty());
    }
}

#[test]
fn what_cannot_be_used_exits_with_2_and_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (option, value) in [
        ("--listen", taken.as_str()),
        ("--brokers", "127.0.0.1:9"),
        ("--key-file", "/no/such/file"),
        ("--kafka", "no.such.property=1"),
    ] {
        let mut arguments = vec!["--application", "a", "--resource", "r", option, value];
        if option != "--listen" {
            arguments.extend(["--listen", "127.0.0.1:0"]);
        }
        let output = exportctl(&arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{option}: {said}");
        assert!(said.contains(value.split('=').next().unwrap()), "{option}: {said}");
    }
}

#[tokio::test]
async fn a_failed_check_exits_with_1_and_json_says_what_to_mend() {
    let TestTopic { brokers, name } = Run::new("r").await.topic;
    let output = exportctl(&[
        "--application",
        "nobody",
        "--resource",
        "r",
        "--brokers",
        &brokers,
        "--topic",
        &name,
        "--listen",
        "127.0.0.1:0",
        "--start-within",
        "1",
        "--answer-within",
        "1",
        "--format",
        "json",
    ]);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["passed"], &report["checks"][0]["check"]), (&false.into(), &"answers".into()));
    assert!(report["checks"][0]["mend"].as_str().is_some_and(|mend| mend.contains("`nobody`")), "{report}");
    assert_eq!(report["checks"][1]["verdict"], "skip");
}
