//! A source application with a switch for each way of being bad; without one it is good.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{CommitMode, Consumer as _, StreamConsumer},
    message::{Headers as _, OwnedMessage},
};
use reqwest::{Body, Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use testkit::poll_until;
use tokio::{sync::Mutex, task::JoinHandle, time::sleep};

use crate::{
    fault::Fault,
    resumable_client::ResumableClient,
    support::{APPLICATION, Run},
};

pub(crate) const KEY: &str = "verify-source";

/// The running application; dropped, it ends.
pub(crate) struct BadSource(JoinHandle<()>);

impl Drop for BadSource {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Starts an application for `run`, and waits until it reads its topic.
pub(crate) async fn start(run: &Run, fault: Fault) -> BadSource {
    let consumer: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", &run.topic.brokers)
        .set("group.id", &run.topic.name)
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    consumer.subscribe(&[&run.topic.name]).unwrap();
    let consumer = Arc::new(consumer);
    let source = Arc::new(Source {
        fault,
        base: format!("{}/app/export/v1", run.url()),
        client: Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(if fault == Fault::Impatient { 1 } else { 60 }))
            .build()
            .unwrap(),
        answered: Mutex::default(),
        under_way: AtomicUsize::new(0),
        counter: AtomicU64::new(0),
    });
    let running = tokio::spawn(consume(Arc::clone(&consumer), source));
    let assigned =
        poll_until(Duration::from_secs(30), async || Ok((consumer.assignment()?.count() > 0).then_some(())));
    assigned.await.unwrap();
    BadSource(running)
}

/// Answers two requests at a time, and commits in the order of their records.
async fn consume(consumer: Arc<StreamConsumer>, source: Arc<Source>) {
    let messages = stream::unfold(Arc::clone(&consumer), |consumer| async move {
        let message = consumer.recv().await.unwrap().detach();
        Some((message, consumer))
    });
    let answered = messages.map(|message| async {
        if source.fault == Fault::CommitsEarly {
            commit(&consumer, &message);
        }
        (source.take(&message).await, message)
    });
    let mut answered = std::pin::pin!(answered.buffered(2));
    while let Some((go_on, message)) = answered.next().await {
        if !go_on {
            return;
        }
        if source.fault != Fault::NeverCommits {
            commit(&consumer, &message);
        }
    }
}

fn commit(consumer: &StreamConsumer, message: &OwnedMessage) {
    let mut offsets = TopicPartitionList::new();
    let next = Offset::Offset(message.offset() + 1);
    offsets.add_partition_offset(message.topic(), message.partition(), next).unwrap();
    consumer.commit(&offsets, CommitMode::Async).unwrap();
}

struct Source {
    fault: Fault,
    base: String,
    client: Client,
    /// Ids of events.
    answered: Mutex<HashSet<String>>,
    under_way: AtomicUsize,
    /// In data that is other each time.
    counter: AtomicU64,
}

/// An answer: data and its type, or an error report.
enum Answer {
    Data(String, &'static str),
    Error(u16, &'static str),
}

impl Source {
    /// False when the application ends.
    async fn take(&self, message: &OwnedMessage) -> bool {
        let addressee = message.headers().and_then(|headers| {
            let named = headers.iter().find(|header| header.key == "application");
            named.and_then(|header| header.value.map(<[u8]>::to_vec))
        });
        let ours = addressee.as_deref() == Some(APPLICATION.as_bytes());
        if self.fault == Fault::Deaf || !ours && self.fault != Fault::AnswersForOthers {
            return true;
        }
        let event: Value = serde_json::from_slice(message.payload().unwrap_or_default()).unwrap_or_default();
        let request = &event["data"]["resource_request"];
        if !request.is_object() {
            return self.fault != Fault::EndsOnMalformed;
        }
        let differs = self.fault == Fault::OtherDataForCopies;
        if !self.answered.lock().await.insert(event["id"].to_string()) && !differs {
            return true;
        }
        if self.under_way.fetch_add(1, Ordering::SeqCst) > 0 && self.fault == Fault::OneAtATime {
            self.under_way.fetch_sub(1, Ordering::SeqCst);
            return true;
        }
        let go_on = match self.answer(request) {
            Some(answer) => self.deliver(request, &answer).await,
            None => true,
        };
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        go_on
    }

    /// None for a request that it drops.
    fn answer(&self, request: &Value) -> Option<Answer> {
        let fault = self.fault;
        let format = request["format"].as_str().unwrap();
        let filters = request["filters"].as_object().cloned();
        if request["resource"] != "things" && fault != Fault::InventsResources {
            return Some(Answer::Error(404, "there is no such resource"));
        }
        match &filters {
            Some(filters) if filters.is_empty() && fault == Fault::RefusesEmptyFilters => {
                return Some(Answer::Error(400, "empty filters"));
            }
            Some(filters) if filters.values().any(Value::is_null) && fault == Fault::DropsNullFilters => {
                return None;
            }
            Some(filters)
                if filters.keys().any(|name| name != "kind") && fault != Fault::IgnoresUnknownFilters =>
            {
                return (fault != Fault::DropsUnknownFilters)
                    .then_some(Answer::Error(400, "there is only the filter kind"));
            }
            _ => {}
        }
        let kind = filters.as_ref().and_then(|filters| filters.get("kind")).and_then(Value::as_str);
        let kind = kind.filter(|_| fault != Fault::IgnoresFilters);
        let rows = (0..50).map(|n| (n, if n % 2 == 0 { "even" } else { "odd" }));
        let rows = rows.filter(|(_, of)| kind.is_none_or(|kind| kind == *of));
        match format {
            "json" => Some(self.json(rows)),
            "csv" if fault == Fault::NoCsv => None,
            "csv" => Some(self.csv(rows)),
            _ if fault == Fault::InventsFormats => Some(self.json(rows)),
            _ if fault == Fault::DropsFormats => None,
            _ => Some(Answer::Error(400, "there are json and csv")),
        }
    }

    fn json<'a>(&self, rows: impl Iterator<Item = (u32, &'a str)>) -> Answer {
        let rows: Vec<Value> = rows.map(|(n, kind)| json!({"n": n, "kind": kind})).collect();
        let text = match self.fault {
            Fault::JsonLines => rows.iter().map(Value::to_string).collect::<Vec<_>>().join("\n"),
            Fault::OtherDataForCopies => json!([self.counter.fetch_add(1, Ordering::SeqCst)]).to_string(),
            _ => Value::Array(rows).to_string(),
        };
        Answer::Data(text, "application/json")
    }

    fn csv<'a>(&self, rows: impl Iterator<Item = (u32, &'a str)>) -> Answer {
        let mut text: String = ["n,kind\r\n".to_owned()]
            .into_iter()
            .chain(rows.map(|(n, kind)| format!("{n},{kind}\r\n")))
            .collect();
        match self.fault {
            Fault::RaggedCsv => text.push_str("50\r\n"),
            Fault::LineFeeds => text = text.replace("\r\n", "\n"),
            _ => {}
        }
        Answer::Data(text, "text/csv")
    }

    /// Posts until it is taken or refused for good. False when the application ends.
    async fn deliver(&self, request: &Value, answer: &Answer) -> bool {
        let fault = self.fault;
        let mut wait = Duration::from_millis(150);
        let mut upload = None;
        loop {
            let sent = match (fault, answer) {
                (Fault::Resumable(habit), Answer::Data(text, content_type)) => {
                    let client = ResumableClient { client: &self.client, habit, text, content_type };
                    client.send(&self.url(request, "uploads"), &mut upload).await
                }
                _ => self.post(request, answer).send().await,
            };
            let status = sent.as_ref().map(reqwest::Response::status).ok();
            let told =
                sent.ok().and_then(|answer| answer.headers().get("retry-after")?.to_str().ok()?.parse().ok());
            match status {
                None if fault == Fault::NoRetryWhenCut => return true,
                Some(StatusCode::UNAUTHORIZED) if fault == Fault::GivesUpWhenUnauthorized => return true,
                Some(StatusCode::SERVICE_UNAVAILABLE) if fault == Fault::NoRetryWhenUnavailable => {
                    return true;
                }
                None | Some(StatusCode::SERVICE_UNAVAILABLE | StatusCode::UNAUTHORIZED) => {}
                Some(status) if status.is_success() => {
                    if fault == Fault::AnswersTwice {
                        let other = Answer::Error(500, "on second thoughts");
                        let _ = self.post(request, &other).send().await;
                    }
                    if fault == Fault::RepeatsAnswers {
                        let _ = self.post(request, answer).send().await;
                    }
                    return true;
                }
                Some(_) if fault == Fault::TriesRefusalsAgain => {
                    let _ = self.post(request, answer).send().await;
                    return true;
                }
                Some(_) if fault == Fault::EndsOnRefusal => return false,
                Some(_) if fault == Fault::RetriesRefusals => wait = Duration::from_millis(200),
                Some(_) => return true,
            }
            let told = told.filter(|_| fault != Fault::IgnoresRetryAfter).map(Duration::from_secs);
            let restless = [Fault::NoBackoff, Fault::HammersWhenUnauthorized].contains(&fault);
            sleep(if restless { Duration::from_millis(1) } else { wait.max(told.unwrap_or_default()) }).await;
            if fault != Fault::SteadyWaits {
                wait *= 2;
            }
        }
    }

    fn url(&self, request: &Value, action: &str) -> String {
        let [export, resource, application] =
            ["export_request_uuid", "uuid", "application"].map(|name| request[name].as_str().unwrap());
        let resource = if self.fault == Fault::OtherResource { export } else { resource };
        let query = if self.fault == Fault::KeyInUrl { "?psk=verify%2Dsource" } else { "" };
        format!("{}/{export}/{application}/{resource}/{action}{query}", self.base)
    }

    fn post(&self, request: &Value, answer: &Answer) -> RequestBuilder {
        let fault = self.fault;
        let action = match answer {
            Answer::Data(..) if fault == Fault::OtherPath => "data",
            Answer::Data(..) => "upload",
            Answer::Error(..) => "error",
        };
        let mut post = self.client.post(self.url(request, action));
        if ![Fault::NoKey, Fault::TokenInsteadOfKey].contains(&fault) {
            post = post
                .header("x-rh-exports-psk", if fault == Fault::OtherKey { "\"verify-source\"" } else { KEY });
        }
        if [Fault::TokenBesideKey, Fault::TokenInsteadOfKey].contains(&fault) {
            post = post.bearer_auth("a.token");
        }
        if fault == Fault::KeyTwice {
            post = post.header("x-rh-exports-psk", KEY);
        }
        match answer {
            Answer::Error(_, message) if fault == Fault::MalformedReports => {
                post.json(&json!({"msg": message}))
            }
            Answer::Error(code, _) if fault == Fault::EmptyMessages => {
                post.json(&json!({"message": "", "error": code}))
            }
            Answer::Error(code, message) => post.json(&json!({"message": message, "error": code})),
            Answer::Data(text, content_type) => {
                if fault == Fault::UnknownEncoding {
                    post = post.header("content-encoding", "br");
                }
                if fault == Fault::BrokenGzip {
                    post = post.header("content-encoding", "gzip");
                }
                post = match fault {
                    Fault::NoContentType => post,
                    Fault::WrongContentType => post.header("content-type", "image/png"),
                    _ => post.header("content-type", *content_type),
                };
                match fault {
                    Fault::DataInOnePiece => post.body(format!("{text}{}", " ".repeat(2 * 1024 * 1024))),
                    _ => post.body(body(text, fault == Fault::Stalls)),
                }
            }
        }
    }
}

/// The text in chunks.
fn body(text: &str, stalls: bool) -> Body {
    let chunks: Vec<_> = text.as_bytes().chunks(64).map(Bytes::copy_from_slice).collect();
    let chunks = stream::iter(chunks).enumerate().then(move |(number, chunk)| async move {
        if stalls && number == 1 {
            sleep(Duration::from_mins(1)).await;
        }
        std::io::Result::Ok(chunk)
    });
    Body::wrap_stream(chunks)
}
