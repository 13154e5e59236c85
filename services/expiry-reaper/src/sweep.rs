//! Compares object storage with the database, both ways.
//!
//! Invariant: no object without a row, no row without an object. Nothing should be found here; what is
//! found is logged, counted and settled. One reaper at a time sweeps.

use blobs::ListedObject;
use chrono::{DateTime, Utc};
use domain::ids::{ExportId, LeaseToken, ResourceId};
use futures_util::{StreamExt as _, pin_mut};
use service::{
    BoxError, Context,
    metrics::Counter,
    worker::{Outcome, Worker},
};
use store::{Store, StoredObjectRow};

use crate::{
    Reaper,
    missing::missing,
    place::{self, Place},
};

/// Most objects or rows looked up at once.
const PAGE: usize = 500;

/// Starts the loop.
pub(crate) fn start(context: &Context, reaper: &Reaper) {
    let found = context.metrics().counter(
        "reaper_sweep_findings_total",
        "What the sweeps found: object_without_row, row_without_object, unfinished_file.",
        ["finding"],
    );
    let sweep = Sweep { reaper: reaper.clone(), found, token: LeaseToken::random() };
    Worker::new("sweep", reaper.settings.sweep_every.as_duration()).start(context, move || {
        let sweep = sweep.clone();
        async move { sweep.step().await }
    });
}

#[derive(Clone)]
struct Sweep {
    reaper: Reaper,
    found: Counter<1>,
    token: LeaseToken,
}

impl Sweep {
    async fn step(&self) -> Result<Outcome, BoxError> {
        let every = self.reaper.settings.sweep_every.as_time_delta();
        let now = self.reaper.clock.now();
        let settings = &self.reaper.settings;
        // The lease lasts until the next sweep is due: it also spreads the sweeps of several reapers. A dry run
        // takes none: it would keep the others from theirs.
        if settings.dry_run || self.reaper.store.take_lease("sweep", self.token, now, now + every).await? {
            let Reaper { store, blobs, .. } = &self.reaper;
            if place::check(store, blobs, now, settings.dry_run).await? == Place::Unknown {
                return Ok(Outcome::Idle);
            }
            self.objects_without_rows().await?;
            self.rows_without_objects().await?;
            if !settings.dry_run {
                let before = now - settings.orphan_min_age.as_time_delta();
                let files = self.reaper.blobs.sweep_unfinished(before).await?;
                self.found.add(["unfinished_file"], files);
            }
        }
        Ok(Outcome::Idle)
    }

    async fn objects_without_rows(&self) -> Result<(), BoxError> {
        let old_before = self.reaper.clock.now() - self.reaper.settings.orphan_min_age.as_time_delta();
        let listing = self.reaper.blobs.list().ready_chunks(PAGE);
        pin_mut!(listing);
        while let Some(page) = listing.next().await {
            let page = page.into_iter().collect::<Result<Vec<_>, _>>()?;
            self.delete_orphans(page, old_before).await?;
        }
        Ok(())
    }

    /// The rows are looked up after the listing: an attempt's row is written before its first byte, so an
    /// upload that runs now is known.
    async fn delete_orphans(
        &self,
        page: Vec<ListedObject>,
        old_before: DateTime<Utc>,
    ) -> Result<(), BoxError> {
        let old: Vec<(ExportId, String)> = page
            .into_iter()
            .filter(|object| object.last_modified < old_before)
            .filter_map(|object| Some((object.key.export_id()?, object.key.as_str().to_owned())))
            .collect();
        if old.is_empty() {
            return Ok(());
        }
        let store = &self.reaper.store;
        let known = store.known_objects(old.clone()).await?;
        let orphans: Vec<String> =
            old.into_iter().map(|(_, key)| key).filter(|key| !known.contains(key)).collect();
        for key in &orphans {
            tracing::warn!(
                object.key = key,
                dry_run = self.reaper.settings.dry_run,
                "an object without a row"
            );
        }
        self.found.add(["object_without_row"], orphans.len() as u64);
        if !self.reaper.settings.dry_run && !orphans.is_empty() {
            store.delete_orphans(orphans, self.reaper.clock.now()).await?;
        }
        Ok(())
    }

    async fn rows_without_objects(&self) -> Result<(), BoxError> {
        let mut after: Option<(ExportId, ResourceId)> = None;
        loop {
            let now = self.reaper.clock.now();
            let limit = u32::try_from(PAGE).unwrap_or(u32::MAX);
            let rows = self.reaper.store.stored_objects(after, now, limit).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = Some((last.export_id(), last.resource_id()));
            for lost in missing(&self.reaper.blobs, rows).await? {
                self.settle_lost(&self.reaper.store, lost).await?;
            }
        }
    }

    async fn settle_lost(&self, store: &Store, lost: StoredObjectRow) -> Result<(), BoxError> {
        let (export_id, key) = (lost.export_id(), lost.object_key.clone());
        if self.reaper.settings.dry_run || store.settle_lost_object(lost, self.reaper.clock.now()).await? {
            self.found.inc(["row_without_object"]);
            tracing::error!(export.id = %export_id, object.key = key, "the object of a source is lost");
        }
        Ok(())
    }
}
