//! Whose turn it is: so many archives are fetched at once, and not all of them of one application.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use domain::ApplicationName;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// The right to fetch. An application whose servers are slow keeps the others from none but its own share.
pub(crate) struct Turns {
    all: Arc<Semaphore>,
    of_each: usize,
    shares: Mutex<BTreeMap<ApplicationName, Weak<Semaphore>>>,
}

/// Taken from both; given back when dropped.
pub(crate) struct Turn {
    _share: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Turns {
    /// So many for all, and for each application.
    pub(crate) fn new(all: usize, of_each: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(all)), of_each, shares: Mutex::default() }
    }

    /// Waits for a turn of `application`, in the order of asking.
    ///
    /// # Errors
    /// Never: the semaphores are not closed.
    pub(crate) async fn of(&self, application: &ApplicationName) -> Result<Turn, AcquireError> {
        // Who waits for their own share takes nothing of the others'.
        let share = self.share(application).acquire_owned().await?;
        let all = Arc::clone(&self.all).acquire_owned().await?;
        Ok(Turn { _share: share, _all: all })
    }

    /// Lives as long as somebody has or awaits a turn of it: records may name any application.
    fn share(&self, application: &ApplicationName) -> Arc<Semaphore> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = shares.get(application).and_then(Weak::upgrade) {
            return share;
        }
        shares.retain(|_, share| share.strong_count() > 0);
        let share = Arc::new(Semaphore::new(self.of_each));
        shares.insert(application.clone(), Arc::downgrade(&share));
        share
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn an_application_takes_no_more_than_its_share_and_is_forgotten_afterwards() {
        let turns = Turns::new(3, 2);
        let turn = |name: &str| {
            let name = ApplicationName::parse(name).unwrap();
            turns.of(&name).now_or_never().map(Result::unwrap)
        };
        let (first, second) = (turn("slow"), turn("slow"));
        assert!(first.is_some() && second.is_some() && turn("slow").is_none());
        let other = turn("other");
        assert!(other.is_some() && turn("third").is_none(), "all are taken");
        drop(first);
        assert!(turn("slow").is_some());
        drop((second, other));
        assert!(turn("new").is_some());
        assert_eq!(turns.shares.lock().unwrap().len(), 1);
    }
}
