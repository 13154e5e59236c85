//! What each request is answered with.

use export_source::{Answer, Refusal, Request, read_blocking};

use crate::{
    filters::{Filters, InvalidFilters},
    mounts, packages, processes,
};

/// The rows of this moment that pass the request's filters.
///
/// # Errors
/// A refusal for resources and columns that there are not, and when the machine cannot be read.
pub async fn answer(request: Request) -> Result<Answer, Refusal> {
    let read = match request.resource.as_str() {
        "packages" => packages::read,
        "processes" => processes::read,
        "mounts" => mounts::read,
        _ => return Err(Refusal::unknown_resource(&["packages", "processes", "mounts"])),
    };
    let table = tokio::task::spawn_blocking(read).await?.map_err(|error| unreadable(&error))?;
    let filters = Filters::parse(&request.filters, table.columns)
        .map_err(|InvalidFilters(message)| Refusal::invalid_filters(message))?;
    let rows = table.rows.filter(move |row| row.as_ref().map_or(true, |row| filters.pass(row)));
    let rows = rows.map(|row| row.map_err(|error| unreadable(&error)));
    Ok(Answer::table(table.columns.iter().copied(), read_blocking(rows)))
}

/// It is the customer's own machine: they may know.
fn unreadable(error: &anyhow::Error) -> Refusal {
    Refusal::new(500, format!("the inventory cannot be read: {error:#}"))
}
