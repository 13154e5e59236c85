//! What is played to the application, one thing after the other. Each scenario says which checks it feeds.

mod answers;
mod commit;
mod records;
mod requests;

use std::time::Duration;

use super::{
    check::Check,
    stage::{Stage, Stop},
};

/// How long the end of the run waits for what should not happen.
const QUIET: Duration = Duration::from_secs(3);

/// One thing to play.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scenario {
    Formats,
    Filters,
    OddFilters,
    UnknownResource,
    OtherApplication,
    TwoAtOnce,
    Duplicate,
    UnknownFormat,
    Malformed,
    Slow,
    Cut,
    RetryAfter,
    Backoff,
    Unauthorized,
    Refusals,
    Commit,
}

/// In the order in which they are played: what needs nothing special first.
const ALL: [Scenario; 16] = [
    Scenario::Formats,
    Scenario::OtherApplication,
    Scenario::Filters,
    Scenario::OddFilters,
    Scenario::UnknownResource,
    Scenario::TwoAtOnce,
    Scenario::Duplicate,
    Scenario::UnknownFormat,
    Scenario::Malformed,
    Scenario::Slow,
    Scenario::Cut,
    Scenario::RetryAfter,
    Scenario::Backoff,
    Scenario::Unauthorized,
    Scenario::Refusals,
    Scenario::Commit,
];

impl Scenario {
    /// The checks that need it. What can be seen in any answer needs only the first request.
    fn feeds(self) -> &'static [Check] {
        match self {
            Self::Formats => &[Check::Json, Check::Csv, Check::ContentType],
            Self::Filters => &[Check::Filters],
            Self::OddFilters => &[Check::EmptyFilters, Check::NullFilter, Check::UnknownFilter],
            Self::UnknownResource => &[Check::UnknownResource, Check::ErrorReport],
            Self::OtherApplication => &[Check::OtherApplication],
            Self::TwoAtOnce => &[Check::TwoAtOnce],
            Self::Duplicate => &[Check::Duplicate],
            Self::UnknownFormat => &[Check::UnknownFormat],
            Self::Malformed => &[Check::Malformed, Check::GoesOn],
            Self::Slow => &[Check::Slow],
            Self::Cut => &[Check::Cut, Check::Resumable],
            Self::RetryAfter => &[Check::Unavailable, Check::RetryAfter],
            Self::Backoff => &[Check::Backoff],
            Self::Unauthorized => &[Check::Unauthorized],
            Self::Refusals => &[Check::Refusals, Check::GoesOn],
            Self::Commit => &[Check::Commit],
        }
    }

    async fn play(self, stage: &mut Stage<'_>) -> Result<(), Stop> {
        match self {
            Self::Formats => requests::formats(stage).await,
            Self::Filters => requests::filters(stage).await,
            Self::OddFilters => requests::odd_filters(stage).await,
            Self::UnknownResource => requests::unknown_resource(stage).await,
            Self::OtherApplication => records::other_application(stage).await,
            Self::TwoAtOnce => records::two_at_once(stage).await,
            Self::Duplicate => records::duplicate(stage).await,
            Self::UnknownFormat => records::unknown_format(stage).await,
            Self::Malformed => records::malformed(stage).await,
            Self::Slow => answers::slow(stage).await,
            Self::Cut => answers::cut(stage).await,
            Self::RetryAfter => answers::retry_after(stage).await,
            Self::Backoff => answers::backoff(stage).await,
            Self::Unauthorized => answers::unauthorized(stage).await,
            Self::Refusals => answers::refusals(stage).await,
            Self::Commit => commit::commit(stage).await,
        }
    }
}

/// Plays all that the checks that were asked for need.
///
/// # Errors
/// [`Stop`] when the rest cannot be played.
pub(crate) async fn play(stage: &mut Stage<'_>) -> Result<(), Stop> {
    let played = play_each(stage).await;
    if !matches!(played, Err(Stop::Silent | Stop::Kafka(_))) {
        tokio::time::sleep(QUIET).await;
    }
    played
}

async fn play_each(stage: &mut Stage<'_>) -> Result<(), Stop> {
    requests::first(stage).await?;
    for scenario in ALL {
        if scenario.feeds().iter().any(|check| stage.arguments.wants(*check)) {
            scenario.play(stage).await?;
        }
    }
    Ok(())
}
