//! A source application.

use std::{fmt, sync::Arc};

use crate::{
    Answer, Error, Metrics, Refusal, Request, Settings, consume::Consumption, deliver::Deliveries,
    platform::Platform,
};

/// A source application: settings, and a function that answers requests.
///
/// The function is called anew for each try, for up to [`Settings::parallel`] requests at the same time.
pub struct Source<F> {
    settings: Settings,
    deliveries: Deliveries<F>,
    metrics: Metrics,
}

impl<F, Fut> Source<F>
where
    F: Fn(Request) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Answer, Refusal>> + Send,
{
    /// Checks the settings. Nothing is connected yet.
    ///
    /// # Errors
    /// [`Error::Settings`] names a setting that cannot be used.
    pub fn new(settings: Settings, answer: F) -> Result<Self, Error> {
        let metrics = Metrics::default();
        let platform = Platform::new(&settings, metrics.clone())?;
        let deliveries = Deliveries::new(&settings, platform, metrics.clone(), answer);
        Ok(Self { settings, deliveries, metrics })
    }

    /// What this source counts; take it before [`run`](Self::run).
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// Answers requests until `stop` ends, such as [`crate::stop_signal`]. Then no more are taken, those under way
    /// may take [`Settings::stop_grace`], and what is not answered is asked again after the next start.
    ///
    /// Kafka or the platform may go away and come back.
    ///
    /// # Errors
    /// When the Kafka client cannot be made or cannot go on.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), Error> {
        let consumption = Consumption::start(&self.settings, Arc::new(self.deliveries), self.metrics)?;
        consumption.run(stop).await
    }
}

impl<F> fmt::Debug for Source<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("settings", &self.settings).finish_non_exhaustive()
    }
}
