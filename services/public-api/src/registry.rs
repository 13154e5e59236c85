//! Follows the registry of applications, so that a change counts within seconds.

use std::time::Duration;

use service::{
    BoxError, Context,
    worker::{Outcome, Worker},
};

use crate::api::Api;

/// How old what is known of the registry may be. The question is for one number.
const FOLLOW_EVERY: Duration = Duration::from_secs(1);

/// Reads the registry, if the database is there, starts the loop, and makes readiness wait for the registry.
pub(crate) async fn follow(context: &Context, api: &Api) {
    // What is wrong is said by the loop, which tries again.
    let _ = api.registry.refresh().await;
    let (registry, follower) = (api.registry.clone(), api.registry.clone());
    context.health().register("registry", move || {
        let known = registry.current().map(drop);
        async move { known }
    });
    Worker::new("registry", FOLLOW_EVERY).start(context, move || {
        let registry = follower.clone();
        async move {
            registry.refresh().await?;
            Ok::<_, BoxError>(Outcome::Idle)
        }
    });
}
