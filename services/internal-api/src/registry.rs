//! Follows the registry of applications, so that a change counts within seconds.

use std::time::Duration;

use actix_web::web;
use service::{
    BoxError, Context,
    worker::{Outcome, Worker},
};

use crate::api::Api;

/// How old what is known of the registry may be. The question is for one number.
const FOLLOW_EVERY: Duration = Duration::from_secs(1);

/// How often the database is told which keys were used.
const NOTE_EVERY: Duration = Duration::from_secs(10);

/// Reads the registry, if the database is there, starts both loops, and makes readiness wait for the registry.
pub(crate) async fn follow(context: &Context, api: &web::Data<Api>) {
    // What is wrong is said by the loop, which tries again.
    let _ = api.registry.refresh().await;
    let (registry, follower) = (api.registry.clone(), api.registry.clone());
    context.health().register("application-keys", move || {
        let open = registry.current().map_err(BoxError::from).and_then(|known| {
            // Nobody could deliver anything (S0-17).
            if known.keys.is_empty() { Err("no application has a key".into()) } else { Ok(()) }
        });
        async move { open }
    });
    Worker::new("registry", FOLLOW_EVERY).start(context, move || {
        let registry = follower.clone();
        async move {
            registry.refresh().await?;
            Ok::<_, BoxError>(Outcome::Idle)
        }
    });
    let api = api.clone();
    Worker::new("used-keys", NOTE_EVERY).start(context, move || {
        let api = api.clone();
        async move {
            let used = api.used_keys.take();
            if !used.is_empty() {
                api.store.note_keys_used(used).await?;
            }
            Ok::<_, BoxError>(Outcome::Idle)
        }
    });
}
