//! Announcements of delivered data: whether one is still wanted, and the URL that is signed for it (contract
//! page 2, "Producing").

use std::{sync::Arc, time::Duration};

use blobs::{ObjectKey, UrlSigner};
use bus::Announcements;
use domain::{Announcement, ApplicationName, Record, SharedClock};
use service::BoxError;
use store::{FollowedRegistry, StoreError};

use crate::unsent::Unsent;

/// The longest that a URL is valid.
const LONGEST_VALIDITY: Duration = Duration::from_hours(24);

/// Makes the records of announcements.
pub(crate) struct Announcer {
    pub(crate) announcements: Announcements,
    pub(crate) registry: Arc<FollowedRegistry>,
    pub(crate) signer: UrlSigner,
    pub(crate) clock: SharedClock,
}

impl Announcer {
    /// The record of `announcement`, with a URL that is signed now. That its row could be leased means that its
    /// export was not deleted; whether it has expired is looked at here.
    pub(crate) async fn render(&self, announcement: &Announcement) -> Result<Record, Unsent> {
        if !self.is_wanted(&announcement.application).await.map_err(not_now)? {
            return Err(Unsent::Unwanted("its application is not announced any more"));
        }
        let left = (announcement.expires_at - self.clock.now()).to_std().unwrap_or_default();
        // Stores count whole seconds; none left would be a URL that never worked.
        let valid_for = Duration::from_secs(left.min(LONGEST_VALIDITY).as_secs());
        if valid_for.is_zero() {
            return Err(Unsent::Unwanted("the data has expired"));
        }
        let key: ObjectKey = announcement.object_key.parse().map_err(broken)?;
        let url = self.signer.sign(&key, valid_for).await.map_err(not_now)?;
        self.announcements.render(announcement, &url).map_err(broken)
    }

    /// Whether `application` is announced. It was when its row was written, which may be a moment ago: what is
    /// known of the registry can be older than the row.
    async fn is_wanted(&self, application: &ApplicationName) -> Result<bool, StoreError> {
        let is_announced = || {
            let known = self.registry.current()?;
            Ok(known.registry.application(application).is_some_and(|entry| entry.announce))
        };
        if is_announced()? {
            return Ok(true);
        }
        self.registry.refresh().await?;
        is_announced()
    }
}

fn not_now(error: impl Into<BoxError>) -> Unsent {
    Unsent::NotNow(error.into())
}

fn broken(error: impl std::error::Error + 'static) -> Unsent {
    Unsent::Broken(service::chain(&error))
}
