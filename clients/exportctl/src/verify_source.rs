//! `exportctl verify-source`: takes the platform's place before a running source application. It sends
//! requests to the topic that the application reads ([`request`], [`kafka`]), serves an internal API that
//! meets its answers in every way ([`server`], [`ledger`]), plays one scenario after the other
//! ([`scenarios`]), and says what was found ([`judge`], [`report`]). Only exports that it asked for are judged.

pub mod arguments;
mod case;
pub mod check;
mod content;
mod credential;
mod judge;
mod kafka;
mod ledger;
mod post;
mod receive;
pub mod report;
mod request;
mod scenarios;
mod script;
mod server;
mod stage;
mod target;
mod upload;
mod wiring;

use std::{
    collections::BTreeMap, fs, io::IsTerminal as _, net::TcpListener, process::ExitCode, sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use tokio::time::timeout;

pub use arguments::Arguments;
use arguments::ReportFormat;
use case::Case;
use check::Check;
use credential::Credential;
use kafka::Kafka;
use ledger::Ledger;
use report::{Finding, Report};
use server::InternalApi;
use stage::{Stage, Stop};

/// The key when no file names one. It opens nothing.
const DEFAULT_KEY: &str = "verify-source";

/// How long the platform waits for the next bytes of an upload.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs all checks and prints the report: 0 when they passed, 1 when not, 2 when they could not be run.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the answer of a command")]
pub async fn run_and_print(arguments: &Arguments) -> ExitCode {
    let printed = async {
        let listener = TcpListener::bind(arguments.listen)
            .with_context(|| format!("cannot listen on {}; see --listen", arguments.listen))?;
        let report = run(arguments, listener, show_progress).await?;
        let text = match arguments.format {
            ReportFormat::Text => report.to_string(),
            ReportFormat::Json => report.to_json()?,
        };
        println!("{}", text.trim_end());
        anyhow::Ok(report.passed())
    };
    match printed.await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// A run takes half a minute and waits most of the time: who looks on wants to know for what.
#[expect(clippy::print_stderr, reason = "for whoever looks on")]
fn show_progress(purpose: &str) {
    if std::io::stderr().is_terminal() {
        eprintln!("… {purpose}");
    }
}

/// Runs all checks that were asked for, with the internal API on `listener`. `progress` is told what each
/// request is about.
///
/// # Errors
/// When they cannot be run: the key file, Kafka or the listener cannot be used.
pub async fn run(arguments: &Arguments, listener: TcpListener, progress: fn(&str)) -> anyhow::Result<Report> {
    let credential =
        if arguments.bearer { Credential::Bearer } else { Credential::Key(read_key(arguments)?) };
    let kafka = Kafka::connect(arguments).await?;
    let ledger = Arc::new(Ledger::default());
    let idle_timeout = IDLE_TIMEOUT.min(Duration::from_secs(arguments.answer_within));
    let server =
        server::serve(listener, InternalApi { ledger: Arc::clone(&ledger), credential, idle_timeout })?;
    let handle = server.handle();
    let server = tokio::spawn(server);
    let report = play(arguments, ledger, kafka, progress).await;
    handle.stop(false).await;
    server.await??;
    report
}

fn read_key(arguments: &Arguments) -> anyhow::Result<String> {
    let Some(file) = &arguments.key_file else { return Ok(DEFAULT_KEY.to_owned()) };
    let key =
        fs::read_to_string(file).with_context(|| format!("cannot read the key file {}", file.display()))?;
    ensure!(!key.trim().is_empty(), "the key file {} is empty", file.display());
    Ok(key.trim().to_owned())
}

async fn play(
    arguments: &Arguments,
    ledger: Arc<Ledger>,
    kafka: Kafka,
    progress: fn(&str),
) -> anyhow::Result<Report> {
    let report = Report { application: arguments.application.clone(), ..Report::default() };
    let mut stage =
        Stage { arguments, ledger, kafka, report, watched: BTreeMap::new(), went_on: 0, progress };
    let played = timeout(Duration::from_secs(arguments.timeout), scenarios::play(&mut stage)).await;
    stage.report.stopped = match played {
        Ok(Ok(())) => None,
        Ok(Err(Stop::Kafka(error))) => return Err(error),
        Ok(Err(stop)) => Some(stop.to_string()),
        Err(_) => Some(format!("its {} s (--timeout) were over", arguments.timeout)),
    };
    conclude(&mut stage);
    Ok(stage.report)
}

/// Adds what can be said only at the end, and a line for what was not looked at.
fn conclude(stage: &mut Stage<'_>) {
    let state = stage.ledger.state();
    if state.cases.values().any(Case::was_called) || !state.strays.is_empty() {
        for (check, finding) in judge::judge(&state, &stage.watched, stage.limit()) {
            stage.note(check, finding);
        }
    }
    if stage.went_on > 0 {
        stage.note(Check::GoesOn, Finding::pass(format!("after {} of them", stage.went_on)));
    }
    let reason = if stage.report.stopped.is_some() { "not reached" } else { "nothing came to judge by" };
    for check in Check::all() {
        if !stage.report.findings.contains_key(check) {
            stage.note(*check, Finding::skip(reason));
        }
    }
}
