//! Many exports from their creation to their end, and how long each step takes for all of them.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde::{Deserialize, Serialize};

use crate::{summary::Summary, topic::Topic};

/// Uploads wait for each other, and for the machine.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(10);
const EVENT_PATIENCE: Duration = Duration::from_mins(5);
const EVENT_POLL: Duration = Duration::from_millis(50);

/// What to create and deliver.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    topic: Topic,
    /// URL of the customers' API, without a path.
    #[arg(long)]
    public_url: String,
    /// URL of the source applications' API, without a path.
    #[arg(long)]
    internal_url: String,
    /// The x-rh-identity header.
    #[arg(long)]
    identity: String,
    /// The application that all sources are of.
    #[arg(long)]
    application: String,
    /// Its key.
    #[arg(long)]
    psk: String,
    /// File with the body of each create request.
    #[arg(long)]
    body: PathBuf,
    /// File whose bytes are delivered for each source.
    #[arg(long)]
    data: PathBuf,
    /// Exports in all.
    #[arg(long)]
    exports: usize,
    /// Requests under way at a time.
    #[arg(long)]
    parallel: usize,
}

/// What came of it. Nothing is left out: one request that is refused is an error.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    exports: usize,
    sources: usize,
    /// Records that the topic has taken meanwhile.
    events: i64,
    /// Exports whose status is `complete` in the end.
    complete: usize,
    uploaded_bytes: u64,
    create_seconds: f64,
    /// From the first create to the last event in the topic.
    event_seconds: f64,
    upload_seconds: f64,
    /// Of a request.
    create: Summary,
    upload: Summary,
}

#[derive(Deserialize)]
struct Export {
    id: String,
    status: String,
    sources: Vec<Source>,
}

#[derive(Deserialize)]
struct Source {
    id: String,
}

/// Creates exports, waits for their events, delivers for all sources, and looks whether all are complete.
///
/// # Errors
/// When a request is refused, an event does not come, or Kafka does not answer.
pub(crate) async fn measure(options: Options) -> Result<Report> {
    let http = Client::builder().no_proxy().timeout(REQUEST_TIMEOUT).build()?;
    let platform = Arc::new(Platform::new(http, &options)?);
    let before = records(&options.topic).await?;
    let started = Instant::now();
    let creating = Arc::clone(&platform);
    let created = all(options.exports, options.parallel, move |_| {
        let platform = Arc::clone(&creating);
        async move { platform.create().await }
    })
    .await?;
    let create_seconds = started.elapsed().as_secs_f64();
    let (exports, create): (Vec<Export>, Vec<_>) = created.into_iter().unzip();
    let paths: Vec<String> = exports.iter().flat_map(|export| platform.paths(export)).collect();
    let events = wait_for_events(&options.topic, before, i64::try_from(paths.len())?, started).await?;
    let event_seconds = started.elapsed().as_secs_f64();

    let (sources, paths, uploading) = (paths.len(), Arc::new(paths), Arc::clone(&platform));
    let begun = Instant::now();
    let upload = all(sources, options.parallel, move |place| {
        let (platform, paths) = (Arc::clone(&uploading), Arc::clone(&paths));
        async move { platform.upload(&paths[place]).await }
    })
    .await?;
    let upload_seconds = begun.elapsed().as_secs_f64();
    let complete = platform.count_complete(exports, options.parallel).await?;
    Ok(Report {
        exports: options.exports,
        sources,
        events,
        complete,
        uploaded_bytes: (platform.data.len() * sources) as u64,
        create_seconds,
        event_seconds,
        upload_seconds,
        create: Summary::of(create),
        upload: Summary::of(upload),
    })
}

struct Platform {
    http: Client,
    exports_url: String,
    internal_url: String,
    identity: String,
    application: String,
    psk: String,
    body: Bytes,
    data: Bytes,
}

impl Platform {
    fn new(http: Client, options: &Options) -> Result<Self> {
        let read =
            |path: &PathBuf| std::fs::read(path).with_context(|| format!("reading {}", path.display()));
        Ok(Self {
            http,
            exports_url: format!("{}/api/export/v1/exports", options.public_url),
            internal_url: format!("{}/app/export/v1", options.internal_url),
            identity: options.identity.clone(),
            application: options.application.clone(),
            psk: options.psk.clone(),
            body: read(&options.body)?.into(),
            data: read(&options.data)?.into(),
        })
    }

    async fn create(&self) -> Result<(Export, Duration)> {
        let request = self.http.post(&self.exports_url).header("x-rh-identity", &self.identity);
        let (answer, took) = send(request.body(self.body.clone()), StatusCode::ACCEPTED).await?;
        Ok((serde_json::from_slice(&answer)?, took))
    }

    async fn upload(&self, path: &str) -> Result<Duration> {
        let request = self.http.post(format!("{}{path}", self.internal_url));
        let request = request.header("x-rh-exports-psk", &self.psk).body(self.data.clone());
        Ok(send(request, StatusCode::ACCEPTED).await?.1)
    }

    async fn count_complete(self: &Arc<Self>, exports: Vec<Export>, parallel: usize) -> Result<usize> {
        let (platform, exports) = (Arc::clone(self), Arc::new(exports));
        let statuses = all(exports.len(), parallel, move |place| {
            let (platform, exports) = (Arc::clone(&platform), Arc::clone(&exports));
            async move { platform.status(&exports[place].id).await }
        });
        Ok(statuses.await?.into_iter().filter(|status| status == "complete").count())
    }

    async fn status(&self, id: &str) -> Result<String> {
        let request = self.http.get(format!("{}/{id}/status", self.exports_url));
        let (answer, _) = send(request.header("x-rh-identity", &self.identity), StatusCode::OK).await?;
        Ok(serde_json::from_slice::<Export>(&answer)?.status)
    }

    /// The paths that the sources of `export` are delivered at.
    fn paths(&self, export: &Export) -> Vec<String> {
        let path = |source: &Source| format!("/{}/{}/{}/upload", export.id, self.application, source.id);
        export.sources.iter().map(path).collect()
    }
}

/// The body of the answer, which must have this status, and how long it took.
async fn send(request: RequestBuilder, expected: StatusCode) -> Result<(Bytes, Duration)> {
    let begun = Instant::now();
    let answer = request.send().await?;
    let (status, url) = (answer.status(), answer.url().clone());
    let body = answer.bytes().await?;
    ensure!(status == expected, "{url} was answered {status}: {}", String::from_utf8_lossy(&body));
    Ok((body, begun.elapsed()))
}

/// Runs `step` for each number below `count`, so many at a time. What they return is in no order.
async fn all<T, F>(
    count: usize,
    parallel: usize,
    step: impl Fn(usize) -> F + Clone + Send + 'static,
) -> Result<Vec<T>>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let next = Arc::new(AtomicUsize::new(0));
    let workers: Vec<_> = (0..parallel.clamp(1, count.max(1)))
        .map(|_| {
            let (next, step) = (Arc::clone(&next), step.clone());
            tokio::spawn(async move {
                let mut done = Vec::new();
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    if place >= count {
                        return anyhow::Ok(done);
                    }
                    done.push(step(place).await?);
                }
            })
        })
        .collect();
    let mut done = Vec::with_capacity(count);
    for worker in workers {
        done.extend(worker.await??);
    }
    Ok(done)
}

/// Waits until the topic has taken so many further records; returns how many it has taken.
async fn wait_for_events(topic: &Topic, before: i64, expected: i64, started: Instant) -> Result<i64> {
    loop {
        let events = records(topic).await? - before;
        if events >= expected {
            return Ok(events);
        }
        ensure!(started.elapsed() < EVENT_PATIENCE, "{events} of {expected} events came");
        tokio::time::sleep(EVENT_POLL).await;
    }
}

async fn records(topic: &Topic) -> Result<i64> {
    let topic = topic.clone();
    Ok(tokio::task::spawn_blocking(move || topic.end_offsets()).await??.total())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_number_is_taken_once_however_many_take_them() {
        for (count, parallel) in [(0, 4), (1, 4), (100, 1), (100, 7), (3, 100), (5, 0)] {
            let mut done = all(count, parallel, |place| async move { Ok(place) }).await.unwrap();
            done.sort_unstable();
            assert_eq!(done, (0..count).collect::<Vec<_>>());
        }
    }

    #[tokio::test]
    async fn one_failure_is_a_failure_of_all() {
        let failed = all(10, 2, |place| async move {
            ensure!(place != 7, "seven");
            Ok(place)
        });
        assert_eq!(failed.await.unwrap_err().to_string(), "seven");
    }
}
