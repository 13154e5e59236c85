//! Follows the registry of applications: which of them are announced.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use domain::ApplicationName;
use service::{
    BoxError, Context,
    worker::{Outcome, Worker},
};
use store::{FollowedRegistry, RegistryRevision, Store};

/// How old what is known of the registry may be. The question is for one number.
const FOLLOW_EVERY: Duration = Duration::from_secs(1);

/// An application is to be announced, and what it delivers has no URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "application `{0}` is to be announced, but object_store.kind is `local`: nobody can fetch a file of this machine \
     by a URL. Use another kind of object storage, or take `announce` out of the registry"
)]
pub(crate) struct CannotAnnounce(ApplicationName);

/// Reads the registry, if the database is there, and follows it. `can_announce` says whether objects have URLs;
/// where they have none, an application that is switched on later is told in the log each time the registry
/// changes: what it delivers waits in the outbox until it expires or a dispatcher starts that can announce it.
///
/// # Errors
/// [`CannotAnnounce`] when an application is switched on already.
pub(crate) async fn follow(
    context: &Context,
    store: &Store,
    can_announce: bool,
) -> Result<Arc<FollowedRegistry>, CannotAnnounce> {
    let registry = Arc::new(FollowedRegistry::new(store.clone()));
    // What is wrong is said by the loop, which tries again.
    let _ = registry.refresh().await;
    if let Ok(known) = registry.current()
        && !can_announce
    {
        check(&known)?;
    }
    let (follower, warned) = (Arc::clone(&registry), Arc::new(AtomicI64::new(-1)));
    Worker::new("registry", FOLLOW_EVERY).start(context, move || {
        let (registry, warned) = (Arc::clone(&follower), Arc::clone(&warned));
        async move {
            registry.refresh().await?;
            let known = registry.current()?;
            let is_new = warned.swap(known.revision, Ordering::Relaxed) != known.revision;
            if let (true, false, Err(error)) = (is_new, can_announce, check(&known)) {
                tracing::error!(%error, "announcements wait");
            }
            Ok::<_, BoxError>(Outcome::Idle)
        }
    });
    Ok(registry)
}

/// Whether nobody is to be announced.
fn check(known: &RegistryRevision) -> Result<(), CannotAnnounce> {
    let announced = known.registry.applications().find(|(_, entry)| entry.announce);
    announced.map_or(Ok(()), |(name, _)| Err(CannotAnnounce(name.clone())))
}
