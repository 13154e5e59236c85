//! What was found, for people and for programs.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use super::check::Check;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Pass,
    /// Not looked at; the detail says why.
    Skip,
    /// It works, and could be better.
    Warn,
    /// To be mended.
    Fail,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pass => "pass",
            Self::Skip => "skip",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        })
    }
}

/// The outcome of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How it ended.
    pub verdict: Verdict,
    /// What was seen.
    pub detail: String,
    /// How to mend it; None where there is nothing to mend.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

impl Finding {
    /// As it should be.
    pub fn pass(detail: impl Into<String>) -> Self {
        Self { verdict: Verdict::Pass, detail: detail.into(), mend: None }
    }

    /// Not looked at.
    pub fn skip(detail: impl Into<String>) -> Self {
        Self { verdict: Verdict::Skip, detail: detail.into(), mend: None }
    }

    /// Could be better.
    pub fn warn(detail: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warn, detail: detail.into(), mend: Some(mend.into()) }
    }

    /// To be mended.
    pub fn fail(detail: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { verdict: Verdict::Fail, detail: detail.into(), mend: Some(mend.into()) }
    }
}

/// All findings of a run.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The application's name.
    pub application: String,
    /// One finding for each check that was asked for.
    pub findings: BTreeMap<Check, Finding>,
    /// Why the run ended early; None when it went to its end.
    pub stopped: Option<String>,
}

#[derive(Serialize)]
struct ReportJson<'a> {
    application: &'a str,
    passed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped: Option<&'a str>,
    checks: Vec<CheckJson<'a>>,
}

#[derive(Serialize)]
struct CheckJson<'a> {
    check: Check,
    contract: &'static str,
    promise: &'static str,
    #[serde(flatten)]
    finding: &'a Finding,
}

impl Report {
    /// Notes a finding; of several about one check the worst stays.
    pub fn note(&mut self, check: Check, finding: Finding) {
        let worse = self.findings.get(&check).is_none_or(|known| finding.verdict > known.verdict);
        if worse {
            self.findings.insert(check, finding);
        }
    }

    /// Whether the run went to its end and no check failed.
    pub fn passed(&self) -> bool {
        self.stopped.is_none() && self.count(Verdict::Fail) == 0
    }

    /// How many checks ended so.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.findings.values().filter(|finding| finding.verdict == verdict).count()
    }

    /// The checks that did not simply pass, in order.
    pub fn not_passed(&self) -> Vec<Check> {
        let others = self.findings.iter().filter(|(_, finding)| finding.verdict != Verdict::Pass);
        others.map(|(check, _)| *check).collect()
    }

    /// One JSON object: `application`, `passed`, `stopped` and an array `checks`.
    ///
    /// # Errors
    /// None in practice: all of it can be written as JSON.
    pub fn to_json(&self) -> serde_json::Result<String> {
        let checks = self.findings.iter().map(|(check, finding)| CheckJson {
            check: *check,
            contract: check.contract(),
            promise: check.promise(),
            finding,
        });
        serde_json::to_string_pretty(&ReportJson {
            application: &self.application,
            passed: self.passed(),
            stopped: self.stopped.as_deref(),
            checks: checks.collect(),
        })
    }
}

/// For people: a line for each check, and below it how to mend what failed. After an early end, what was not
/// looked at is one line, so that the reason is not out of sight.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unreached = |finding: &Finding| self.stopped.is_some() && finding.verdict == Verdict::Skip;
        for (check, finding) in self.findings.iter().filter(|(_, finding)| !unreached(finding)) {
            let Finding { verdict, detail, mend } = finding;
            let (name, contract, promise) = (check.name(), check.contract(), check.promise());
            writeln!(f, "{verdict:4}  {name:17} {contract:12} {promise}: {detail}")?;
            if let Some(mend) = mend {
                for (i, line) in mend.lines().enumerate() {
                    writeln!(f, "      {} {line}", if i == 0 { "mend:" } else { "     " })?;
                }
            }
        }
        let [passed, warned, failed, skipped] =
            [Verdict::Pass, Verdict::Warn, Verdict::Fail, Verdict::Skip].map(|verdict| self.count(verdict));
        writeln!(f, "\n{passed} passed, {failed} failed, {warned} warnings, {skipped} not checked")?;
        if let Some(reason) = &self.stopped {
            let names = self.findings.iter().filter(|(_, finding)| unreached(finding));
            let names: Vec<String> = names.map(|(check, _)| check.name()).collect();
            writeln!(f, "The run ended early: {reason}. Not checked: {}.", names.join(", "))?;
        }
        let outcome = if self.passed() { "is verified" } else { "is NOT verified" };
        writeln!(f, "`{}` {outcome}.", self.application)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn report() -> Report {
        let mut report = Report { application: "inventory".to_owned(), ..Report::default() };
        report.note(Check::Answers, Finding::pass("after 0.1 s"));
        report.note(Check::Key, Finding::fail("it was missing", "Send it.\nOn every request."));
        report.note(Check::Key, Finding::pass("on 3 requests"));
        report
    }

    #[test]
    fn the_worst_finding_about_a_check_stays() {
        assert_eq!(report().findings[&Check::Key].verdict, Verdict::Fail);
        assert!(!report().passed());
    }

    #[test]
    fn a_failure_is_told_with_its_contract_and_what_to_mend() {
        let text = report().to_string();
        assert!(text.contains("FAIL  key               S0-17        shows its key"), "{text}");
        assert!(text.contains("\n      mend: Send it.\n            On every request.\n"), "{text}");
        assert!(
            text.ends_with("1 passed, 1 failed, 0 warnings, 0 not checked\n`inventory` is NOT verified.\n")
        );
    }

    #[test]
    fn json_says_the_same() {
        let report: Value = serde_json::from_str(&report().to_json().unwrap()).unwrap();
        assert_eq!((&report["passed"], &report["application"]), (&json!(false), &json!("inventory")));
        assert_eq!(
            report["checks"][1],
            json!({"check": "key", "contract": "S0-17", "promise": "shows its key or token as a header, once",
                "verdict": "fail", "detail": "it was missing", "mend": "Send it.\nOn every request."})
        );
    }

    #[test]
    fn a_run_that_ended_early_did_not_pass() {
        let mut report = Report { stopped: Some("the time is up".to_owned()), ..Report::default() };
        report.note(Check::Json, Finding::skip("not reached"));
        assert!(!report.passed());
        let text = report.to_string();
        assert!(text.contains("The run ended early: the time is up. Not checked: json.\n"), "{text}");
        assert!(!text.contains("skip"), "{text}");
    }
}
