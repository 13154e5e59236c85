//! One real export, as a customer makes it: create, wait, download, look inside.

mod archive;
mod customer;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::time::{Instant, sleep};

use self::archive::Archive;
use self::customer::{Customer, Export};
use crate::applications::{DEMO, DEMO_RESOURCES};
use crate::screen::{Stopwatch, number, seconds};

/// How long the demo application may take to answer. Joining the broker's group takes a few seconds.
const ANSWER_LIMIT: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(20);

/// Makes an export of this machine's inventory in each format and shows what is in it; returns the id of
/// the last one. The format is a property of the export, not of a source, so that each format needs an
/// export of its own.
///
/// # Errors
/// When a step fails, or an archive is not what its `meta.json` says.
pub(crate) async fn make(public_url: &str, downloads: &Path) -> Result<String> {
    let customer = Customer::new(public_url)?;
    let mut id = String::new();
    for format in ["json", "csv"] {
        id = make_one(&customer, format, downloads)
            .await
            .with_context(|| format!("the first {format} export"))?;
    }
    Ok(id)
}

async fn make_one(customer: &Customer, format: &str, downloads: &Path) -> Result<String> {
    println!("\nExporting this machine's inventory as {format}:");
    let watch = Stopwatch::start();
    let name = format!("Inventory of this machine ({format})");
    let created = customer.create(&name, format, DEMO, &DEMO_RESOURCES).await?;
    println!("  accepted as {} after {watch}", created.id);

    let watch = Stopwatch::start();
    wait_complete(customer, &created.id).await?;
    println!("  all {} sources delivered after {watch} more", created.sources.len());

    let watch = Stopwatch::start();
    let download = customer.download(&created.id, downloads).await?;
    println!(
        "  downloaded {} bytes in {watch} (first byte after {}) to {}",
        number(download.size_bytes),
        seconds(download.first_byte),
        download.path.display()
    );

    let watch = Stopwatch::start();
    let path = download.path.clone();
    let archive = tokio::task::spawn_blocking(move || Archive::open(&path)).await??;
    if archive.files.len() != DEMO_RESOURCES.len() {
        bail!("the archive has {} files instead of {}", archive.files.len(), DEMO_RESOURCES.len());
    }
    println!("  checked against its meta.json in {watch}:");
    show_archive(&archive);
    Ok(created.id)
}

async fn wait_complete(customer: &Customer, id: &str) -> Result<Export> {
    let deadline = Instant::now() + ANSWER_LIMIT;
    loop {
        let export = customer.status(id).await?;
        match export.status.as_str() {
            "complete" => return Ok(export),
            "failed" | "partial" => bail!("the export ended as {}: {}", export.status, export.failures()),
            _ if Instant::now() >= deadline => {
                bail!("the export is still {} after {ANSWER_LIMIT:?}", export.status)
            }
            _ => sleep(POLL).await,
        }
    }
}

/// The files of an archive as a table.
fn show_archive(archive: &Archive) {
    println!("    {:<44} {:<22} {:>9} {:>13}  SHA-256 (as in meta.json)", "file", "source", "rows", "bytes");
    for file in &archive.files {
        let source = format!("{}/{}", file.application, file.resource);
        let (rows, bytes) = (number(file.rows), number(file.size_bytes));
        println!("    {:<44} {source:<22} {rows:>9} {bytes:>13}  {}", file.name, file.sha256);
    }
}
