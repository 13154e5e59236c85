//! Mixed load: customers who create, watch, download and delete exports, and an application that answers.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Result, bail};
use reqwest::StatusCode;
use tokio::{
    sync::Semaphore,
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep},
};

use crate::{
    audit::unpack,
    callers::{Answering, Asking},
    ledger::Ledger,
    payload::{IN_PARTS, Numbers, numbers_of, payload},
    topic::{Event, Events},
};

/// How long somebody goes on trying.
const PATIENCE: Duration = Duration::from_secs(90);

/// Customers at the same time.
const CUSTOMERS: u64 = 3;

/// Answers under way at the same time.
const ANSWERS: usize = 6;

/// Running customers and a running application.
pub(crate) struct Load {
    budget: Arc<AtomicUsize>,
    leave: Arc<AtomicBool>,
    customers: Vec<JoinHandle<()>>,
    application: JoinHandle<()>,
}

impl Load {
    /// Begins. Customers create nothing before they are [allowed](Load::allow) to.
    pub(crate) fn start(
        asking: &Asking,
        answering: &Answering,
        ledger: &Ledger,
        events: &Events,
        seed: u64,
    ) -> Self {
        let (budget, leave) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let customers = (0..CUSTOMERS).map(|customer| {
            let (budget, leave) = (Arc::clone(&budget), Arc::clone(&leave));
            let numbers = Numbers::from_seed(seed.wrapping_mul(31).wrapping_add(customer));
            tokio::spawn(be_customer(asking.clone(), ledger.clone(), numbers, budget, leave))
        });
        let customers = customers.collect();
        let application = tokio::spawn(be_application(answering.clone(), ledger.clone(), events.clone()));
        Self { budget, leave, customers, application }
    }

    /// Lets customers try to create so many further exports.
    pub(crate) fn allow(&self, exports: usize) {
        self.budget.fetch_add(exports, Ordering::Relaxed);
    }

    /// Lets the customers leave. The application goes on answering until this value is dropped.
    pub(crate) async fn end_customers(&mut self) {
        self.leave.store(true, Ordering::Relaxed);
        for customer in self.customers.drain(..) {
            customer.await.expect("a customer found something wrong");
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.application.abort();
        for customer in &self.customers {
            customer.abort();
        }
    }
}

async fn be_customer(
    asking: Asking,
    ledger: Ledger,
    mut numbers: Numbers,
    budget: Arc<AtomicUsize>,
    leave: Arc<AtomicBool>,
) {
    loop {
        let may_create = budget
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |exports| exports.checked_sub(1))
            .is_ok();
        if may_create {
            create(&asking, &mut numbers).await;
        } else if leave.load(Ordering::Relaxed) {
            return;
        }
        look_back(&asking, &ledger, &mut numbers).await;
        // A customer's pace.
        sleep(Duration::from_millis(20)).await;
    }
}

/// Creates an export, whatever becomes of it; every twelfth is deleted soon.
async fn create(asking: &Asking, numbers: &mut Numbers) {
    let Ok(export) = asking.create(1 + numbers.below(3)).await else { return };
    if numbers.below(12) == 0 {
        let id = &export.id;
        let deleted = keep_trying(|| async move {
            let status = asking.delete(id).await?;
            Ok(matches!(status, StatusCode::ACCEPTED | StatusCode::NOT_FOUND).then_some(()))
        });
        deleted.await.expect("an export can be deleted");
    }
}

/// Downloads one of the accepted exports, if it is ready: a download that ends well is whole and right.
async fn look_back(asking: &Asking, ledger: &Ledger, numbers: &mut Numbers) {
    let chosen = ledger.note(|books| {
        let place = numbers.below(books.accepted.len().max(1));
        let (export, sources) = books.accepted.iter().nth(place)?;
        let delivered = sources.iter().filter(|source| books.delivered.contains_key(*source));
        Some((export.clone(), delivered.cloned().collect::<Vec<_>>()))
    });
    let Some((export, delivered)) = chosen else { return };
    let Ok(archive) = asking.download(&export).await else { return };
    let files = unpack(&archive).expect("a whole archive");
    for source in delivered {
        let file = files.get(&format!("{source}.json"));
        assert!(
            file.is_some_and(|file| *file == body_of(&source)),
            "{source} is not in {export} as delivered"
        );
    }
}

/// Answers every event once, as a source application does that knows events by their ids.
async fn be_application(answering: Answering, ledger: Ledger, events: Events) {
    let (mut seen, mut known) = (0, HashSet::new());
    let (permits, mut answers) = (Arc::new(Semaphore::new(ANSWERS)), JoinSet::new());
    loop {
        let new = events.after(seen);
        seen += new.len();
        for event in new {
            if known.insert(event.id.clone()) {
                let (answering, ledger, permits) = (answering.clone(), ledger.clone(), Arc::clone(&permits));
                answers.spawn(async move {
                    let _permit = permits.acquire().await;
                    if let Err(error) = answer(&answering, &event).await {
                        ledger.note(|books| books.broken.push(format!("{error:#}")));
                    }
                });
            }
        }
        while answers.try_join_next().is_some() {}
        sleep(Duration::from_millis(10)).await;
    }
}

/// How a source is answered, which follows from its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Error,
    Small,
    InParts,
    Twice,
}

fn kind_of(source: &str) -> Kind {
    match numbers_of(source).below(20) {
        0 | 1 => Kind::Error,
        2 => Kind::InParts,
        3 | 4 => Kind::Twice,
        _ => Kind::Small,
    }
}

/// The bytes that are delivered for a source.
fn body_of(source: &str) -> Vec<u8> {
    let mut numbers = numbers_of(source);
    numbers.next();
    let size_bytes = match kind_of(source) {
        Kind::InParts => IN_PARTS / 2 + numbers.below(IN_PARTS / 4),
        _ => numbers.below(40_000),
    };
    payload(source, size_bytes)
}

/// Answers until the platform says that it has the answer, or does not want it.
async fn answer(answering: &Answering, event: &Event) -> Result<()> {
    let Event { export, source, .. } = event;
    let kind = kind_of(source);
    keep_trying(|| async move {
        let status = match kind {
            Kind::Error => answering.report(export, source).await?,
            Kind::Small | Kind::InParts => answering.upload(export, source, body_of(source)).await?,
            Kind::Twice => {
                let (one, other) = tokio::join!(
                    answering.upload(export, source, body_of(source)),
                    answering.upload(export, source, body_of(source))
                );
                one.or(other)?
            }
        };
        match status {
            StatusCode::ACCEPTED | StatusCode::NOT_FOUND => Ok(Some(Ok(()))),
            StatusCode::SERVICE_UNAVAILABLE => bail!("unavailable"),
            other => Ok(Some(Err(anyhow::anyhow!("{kind:?} answer for {source} was answered {other}")))),
        }
    })
    .await?
}

/// Tries every now and then until there is a value: `testkit::poll_until` for what runs in a task of its own.
pub(crate) async fn keep_trying<T, F>(mut attempt: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<Option<T>>>,
{
    let deadline = Instant::now() + PATIENCE;
    loop {
        match attempt().await {
            Ok(Some(value)) => return Ok(value),
            Err(error) if Instant::now() >= deadline => return Err(error),
            Ok(None) if Instant::now() >= deadline => bail!("it did not happen within {PATIENCE:?}"),
            _ => sleep(Duration::from_millis(20)).await,
        }
    }
}
