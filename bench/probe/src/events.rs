//! From the request that creates an export to its events in Kafka.

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use crate::{
    summary::Summary,
    topic::{Reader, Seen, Topic},
};

/// Requests that are made first and not counted: connections open, caches fill.
const WARM_UP: u32 = 20;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
const EVENT_PATIENCE: Duration = Duration::from_mins(1);

/// What to create.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    topic: Topic,
    /// URL of the customers' API, without a path.
    #[arg(long)]
    public_url: String,
    /// The x-rh-identity header.
    #[arg(long)]
    identity: String,
    /// File with the body of each request.
    #[arg(long)]
    body: PathBuf,
    /// Requests a second. They are begun on time, however long the answers take.
    #[arg(long)]
    rate: f64,
    /// Requests in all.
    #[arg(long)]
    count: u32,
}

/// What came of it.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    accepted: usize,
    /// Sources of the accepted exports: so many events there must be.
    expected: usize,
    events: usize,
    missing: usize,
    duplicates: usize,
    seconds: f64,
    /// From the begin of a request to its answer.
    answer: Summary,
    /// From the begin of a request to each of its events.
    event: Summary,
}

struct Accepted {
    id: String,
    sources: usize,
    begun: Instant,
    answered: Duration,
}

#[derive(Deserialize)]
struct Export {
    id: String,
    sources: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Event {
    id: String,
}

/// Creates exports and reads their events.
///
/// # Errors
/// When a request is not accepted, or Kafka cannot be read.
pub(crate) async fn measure(options: Options) -> Result<Report> {
    let creator = Creator::new(&options)?;
    for _ in 0..WARM_UP {
        creator.create().await?;
    }
    let reader = Reader::start(&options.topic)?;
    let started = Instant::now();
    let mut requests = Vec::new();
    for number in 0..options.count {
        let due = started + Duration::from_secs_f64(f64::from(number) / options.rate);
        tokio::time::sleep_until(due.into()).await;
        let creator = creator.clone();
        requests.push(tokio::spawn(async move { creator.create().await }));
    }
    let mut accepted = Vec::new();
    for request in requests {
        accepted.push(request.await??);
    }
    let seconds = started.elapsed().as_secs_f64();
    let expected = accepted.iter().map(|export| export.sources).sum();
    let seen = reader.finish(expected, EVENT_PATIENCE).await?;
    report(&accepted, &seen, seconds)
}

#[derive(Clone)]
struct Creator {
    http: reqwest::Client,
    url: String,
    identity: String,
    body: String,
}

impl Creator {
    fn new(options: &Options) -> Result<Self> {
        let http = reqwest::Client::builder().no_proxy().timeout(REQUEST_TIMEOUT).build()?;
        let body = std::fs::read_to_string(&options.body).context("reading the body")?;
        let url = format!("{}/api/export/v1/exports", options.public_url);
        Ok(Self { http, url, identity: options.identity.clone(), body })
    }

    async fn create(&self) -> Result<Accepted> {
        let request = self
            .http
            .post(&self.url)
            .header("x-rh-identity", &self.identity)
            .header("content-type", "application/json")
            .body(self.body.clone());
        let begun = Instant::now();
        let answer = request.send().await?;
        let (status, body) = (answer.status(), answer.bytes().await?);
        let answered = begun.elapsed();
        if status != reqwest::StatusCode::ACCEPTED {
            bail!("creating an export was answered {status}: {}", String::from_utf8_lossy(&body));
        }
        let Export { id, sources } = serde_json::from_slice(&body)?;
        Ok(Accepted { id, sources: sources.len(), begun, answered })
    }
}

/// Holds the events against the exports. Events of other exports (of the warm-up) are left out.
fn report(accepted: &[Accepted], seen: &[Seen], seconds: f64) -> Result<Report> {
    let begun: HashMap<&[u8], Instant> =
        accepted.iter().map(|export| (export.id.as_bytes(), export.begun)).collect();
    let (mut ids, mut latencies, mut duplicates) = (HashSet::new(), Vec::new(), 0);
    for record in seen {
        let Some(begun) = begun.get(record.key.as_slice()) else { continue };
        let event: Event = serde_json::from_slice(&record.payload).context("an event without an id")?;
        if ids.insert(event.id) {
            latencies.push(record.at - *begun);
        } else {
            duplicates += 1;
        }
    }
    let expected: usize = accepted.iter().map(|export| export.sources).sum();
    Ok(Report {
        expected,
        events: latencies.len(),
        missing: expected.saturating_sub(latencies.len()),
        duplicates,
        seconds,
        event: Summary::of(latencies),
        answer: Summary::of(accepted.iter().map(|export| export.answered).collect()),
        accepted: accepted.len(),
    })
}
