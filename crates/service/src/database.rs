//! What probes and Prometheus learn of a service's database, whichever it is.

use crate::{BoxError, Context};

/// The connections of a pool at a moment.
#[derive(Debug, Clone, Copy)]
pub struct Connections {
    /// All that are open.
    pub open: u32,
    /// Those of them that nobody uses.
    pub idle: u32,
}

/// Makes `check` of `database` a part of readiness, named `postgres`, and shows its `connections` as metrics.
/// Once for each service: it has one pool.
pub fn register<D, F, E>(
    context: &Context,
    database: &D,
    check: impl Fn(D) -> F + Send + Sync + 'static,
    connections: impl Fn(&D) -> Connections + Clone + Send + Sync + 'static,
) where
    D: Clone + Send + Sync + 'static,
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Into<BoxError>,
{
    let (checked, of_open, of_idle) = (database.clone(), database.clone(), database.clone());
    context.health().register("postgres", move || check(checked.clone()));
    let (open, idle) = (connections.clone(), connections);
    let metrics = context.metrics();
    metrics.gauge_of("database_connections", "Open database connections.", &[], move || {
        open(&of_open).open.into()
    });
    metrics.gauge_of("database_connections_idle", "Unused database connections.", &[], move || {
        idle(&of_idle).idle.into()
    });
}
