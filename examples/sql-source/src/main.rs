//! Starts the application and stops it on SIGTERM or Ctrl-C.

use std::{path::Path, sync::Arc};

use anyhow::{Context as _, Result, anyhow};
use clap::Parser as _;
use export_source::{Request, Source, stop_signal};
use futures_util::TryStreamExt as _;
use sql_source::{answer::Queries, arguments::Arguments, database::Database, resources::Resources};
use tokio::io::AsyncWriteExt as _;
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // Standard output is for rows.
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let arguments = Arguments::parse();
    let queries = Queries {
        resources: Arc::new(Resources::read(&arguments.resources)?),
        database: Database::new(&arguments.database_url()?, arguments.statement_timeout())?,
    };
    if let Some(event) = &arguments.print {
        return print(&queries, event).await;
    }
    check(&queries, arguments.check).await?;
    if arguments.check {
        return Ok(());
    }
    let settings = arguments.platform.settings("sql")?;
    let source = Source::new(settings, move |request| queries.clone().answer(request))?;
    source.run(stop_signal()?).await?;
    Ok(())
}

/// Looks whether the database takes all queries. One that is away is no reason not to start, unless looking is all
/// that is wanted.
async fn check(queries: &Queries, only: bool) -> Result<()> {
    for (name, resource) in queries.resources.iter() {
        match queries.database.check(resource).await {
            Ok(()) => {}
            Err(error) if error.code().is_none() && !only => {
                tracing::warn!(%error, "the database is away, its queries are not checked");
                return Ok(());
            }
            Err(error) => return Err(error).with_context(|| format!("the query of {name}")),
        }
    }
    Ok(())
}

async fn print(queries: &Queries, event: &Path) -> Result<()> {
    let event = tokio::fs::read(event).await.with_context(|| event.display().to_string())?;
    let request = Request::decode(&event)?;
    let refused = |refusal| anyhow!("{refusal:?}");
    let resource = queries.resources.get(&request.resource).map_err(refused)?;
    let bound = resource.bind(&request).map_err(refused)?;
    let rows = queries.database.rows(resource, &bound, request.format).await.map_err(refused)?;
    let mut rows = std::pin::pin!(rows);
    let mut output = tokio::io::stdout();
    while let Some(chunk) = rows.try_next().await.map_err(refused)? {
        output.write_all(&chunk).await?;
    }
    output.flush().await?;
    Ok(())
}
