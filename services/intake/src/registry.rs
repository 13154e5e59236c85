//! Follows the registry of applications, so that a change counts within seconds.

use std::{sync::Arc, time::Duration};

use service::{
    BoxError, Context,
    worker::{Outcome, Worker},
};

use crate::intake::Intake;

/// How old what is known of the registry may be. The question is for one number.
const FOLLOW_EVERY: Duration = Duration::from_secs(1);

/// Reads the registry, if the database is there, and starts the loop.
pub(crate) async fn follow(context: &Context, intake: &Arc<Intake>) {
    // What is wrong is said by the loop, which tries again.
    let _ = intake.registry.refresh().await;
    let registry = Arc::clone(&intake.registry);
    Worker::new("registry", FOLLOW_EVERY).start(context, move || {
        let registry = Arc::clone(&registry);
        async move {
            registry.refresh().await?;
            Ok::<_, BoxError>(Outcome::Idle)
        }
    });
}
