//! Each way of being bad is found, and each check can fail.

use std::collections::BTreeSet;

use exportctl::verify_source::{
    check::Check,
    report::{Finding, Verdict},
};
use futures_util::{StreamExt as _, stream};

use crate::{
    bad_source,
    fault::{Fault, Habit},
    support::Run,
};

/// Runs at the same time: they mostly wait.
const PARALLEL: usize = 6;

const FAULTS: [(Fault, Check); 39] = [
    (Fault::Deaf, Check::Answers),
    (Fault::JsonLines, Check::Json),
    (Fault::RaggedCsv, Check::Csv),
    (Fault::WrongContentType, Check::ContentType),
    (Fault::UnknownEncoding, Check::Encoding),
    (Fault::BrokenGzip, Check::Encoding),
    (Fault::Stalls, Check::Streaming),
    (Fault::IgnoresFilters, Check::Filters),
    (Fault::RefusesEmptyFilters, Check::EmptyFilters),
    (Fault::DropsNullFilters, Check::NullFilter),
    (Fault::DropsUnknownFilters, Check::UnknownFilter),
    (Fault::InventsResources, Check::UnknownResource),
    (Fault::InventsFormats, Check::UnknownFormat),
    (Fault::MalformedReports, Check::ErrorReport),
    (Fault::NoKey, Check::Key),
    (Fault::KeyTwice, Check::Key),
    (Fault::OtherKey, Check::Key),
    (Fault::TokenBesideKey, Check::Key),
    (Fault::TokenInsteadOfKey, Check::Key),
    (Fault::KeyInUrl, Check::KeyNotInUrl),
    (Fault::OtherPath, Check::Path),
    (Fault::OtherResource, Check::Path),
    (Fault::OtherDataForCopies, Check::Duplicate),
    (Fault::AnswersTwice, Check::Once),
    (Fault::EndsOnMalformed, Check::Malformed),
    (Fault::AnswersForOthers, Check::OtherApplication),
    (Fault::OneAtATime, Check::TwoAtOnce),
    (Fault::Impatient, Check::Slow),
    (Fault::NoRetryWhenCut, Check::Cut),
    (Fault::Resumable(Habit::Unversioned), Check::Resumable),
    (Fault::NoRetryWhenUnavailable, Check::Unavailable),
    (Fault::IgnoresRetryAfter, Check::RetryAfter),
    (Fault::NoBackoff, Check::Backoff),
    (Fault::HammersWhenUnauthorized, Check::Unauthorized),
    (Fault::RetriesRefusals, Check::Refusals),
    (Fault::EndsOnRefusal, Check::GoesOn),
    (Fault::NoCsv, Check::InTime),
    (Fault::CommitsEarly, Check::Commit),
    (Fault::NeverCommits, Check::Commit),
];

const WARNINGS: [(Fault, Check); 12] = [
    (Fault::NoContentType, Check::ContentType),
    (Fault::LineFeeds, Check::Csv),
    (Fault::DataInOnePiece, Check::Streaming),
    (Fault::IgnoresUnknownFilters, Check::UnknownFilter),
    (Fault::DropsFormats, Check::UnknownFormat),
    (Fault::EmptyMessages, Check::ErrorReport),
    (Fault::Resumable(Habit::BeginsAnew), Check::Resumable),
    (Fault::Resumable(Habit::LeavesUploads), Check::Resumable),
    (Fault::RepeatsAnswers, Check::Once),
    (Fault::SteadyWaits, Check::Backoff),
    (Fault::GivesUpWhenUnauthorized, Check::Unauthorized),
    (Fault::TriesRefusalsAgain, Check::Refusals),
];

async fn find(fault: Fault, check: Check) -> Option<Finding> {
    let run = Run::new("things").await;
    let group = run.topic.name.clone();
    let _source = bad_source::start(&run, fault).await;
    let mut only = check.name();
    // What is in every answer is seen in the first; what is in csv only when csv is asked for.
    if check == Check::InTime {
        only.push_str(",csv");
    }
    let report = run
        .with(&["--only", &only, "--start-within", "4", "--answer-within", "4"])
        .with(&["--group", &group, "--filters", r#"{"kind": "odd"}"#])
        .report()
        .await;
    report.findings.get(&check).cloned()
}

/// Those whose check did not end with `expected` and what to mend.
async fn missed(faults: &[(Fault, Check)], expected: Verdict) -> Vec<(Fault, Option<Finding>)> {
    let runs = stream::iter(faults.iter().copied());
    let runs = runs.map(|(fault, check)| async move { (fault, find(fault, check).await) });
    let found: Vec<_> = runs.buffer_unordered(PARALLEL).collect().await;
    let as_expected = |finding: &Option<Finding>| {
        finding.as_ref().is_some_and(|finding| finding.verdict == expected && finding.mend.is_some())
    };
    found.into_iter().filter(|(_, finding)| !as_expected(finding)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_of_being_bad_fails_its_check() {
    let missed = missed(&FAULTS, Verdict::Fail).await;
    assert!(missed.is_empty(), "not found: {missed:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_be_better_is_warned_of() {
    let missed = missed(&WARNINGS, Verdict::Warn).await;
    assert!(missed.is_empty(), "not found: {missed:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_17b_a_token_is_verified_instead_of_a_key() {
    for (fault, expected) in [(Fault::TokenInsteadOfKey, Verdict::Pass), (Fault::None, Verdict::Fail)] {
        let run = Run::new("things").await;
        let _source = bad_source::start(&run, fault).await;
        let report = run.with(&["--bearer", "--only", "key,key-not-in-url"]).report().await;
        assert_eq!(report.findings[&Check::Key].verdict, expected, "{report}");
    }
}

#[test]
fn every_check_can_fail() {
    let failed: BTreeSet<Check> = FAULTS.iter().map(|(_, check)| *check).collect();
    let all: BTreeSet<Check> = Check::all().iter().copied().collect();
    assert_eq!(all.difference(&failed).collect::<Vec<_>>(), Vec::<&Check>::new());
}

/// The checks that an application does not simply pass; none fails.
async fn not_passed(fault: Fault) -> Vec<Check> {
    let run = Run::new("things").await;
    let group = run.topic.name.clone();
    let _source = bad_source::start(&run, fault).await;
    let report = run.with(&["--group", &group, "--filters", r#"{"kind": "odd"}"#]).report().await;
    assert!(report.passed(), "{report}");
    report.not_passed()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_without_faults_passes_every_check() {
    assert_eq!(not_passed(Fault::None).await, [Check::Resumable]);
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_tus_an_application_that_resumes_its_uploads_passes_every_check() {
    assert_eq!(not_passed(Fault::Resumable(Habit::Good)).await, []);
}
