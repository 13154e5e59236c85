//! Creating an export: the export, its sources and the records that ask for them, all or nothing.

use std::fmt;

use chrono::{DateTime, Utc};
use diesel::{
    ExpressionMethods as _, OptionalExtension as _, RunQueryDsl,
    sql_types::{Array, BigInt, Binary, Bool, Integer, Json, Nullable, Text, Timestamptz, Uuid as SqlUuid},
};
use domain::{Asking, ExportDraft, LifecycleEvent, Owner, Record, SourceDraft};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    error::StoreError, outbox_rows::NewRow, pool::Store, schema::owners, source_tags::tags_of,
    statement::prepared_statement,
};

/// An export to create. Built once, so that a collision can run it again without cloning it.
pub struct CreateExport {
    owner: Owner,
    id: Uuid,
    name: String,
    format: &'static str,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    identity: String,
    source_tags: Vec<String>,
    resource_ids: Vec<Uuid>,
    applications: Vec<String>,
    resources: Vec<String>,
    filters: Vec<Option<Value>>,
    csv_formula_guards: Vec<bool>,
    csv_boms: Vec<bool>,
    source_expiries: Vec<DateTime<Utc>>,
    deadlines: Vec<DateTime<Utc>>,
    tries_left: Vec<i32>,
    next_asks: Vec<Option<DateTime<Utc>>>,
    event_ids: Vec<Uuid>,
    kinds: Vec<&'static str>,
    topics: Vec<String>,
    keys: Vec<String>,
    headers: Vec<Value>,
    payloads: Vec<Vec<u8>>,
}

impl CreateExport {
    /// The rows of `draft`, owned by `owner`, and the news of it. `identity` is the header to ask sources
    /// with, `records` are the rendered events, one for each source in the same order, and `asking` is how
    /// those sources are asked of which the registry does not say it.
    pub fn new(
        draft: &ExportDraft,
        owner: Owner,
        identity: String,
        records: Vec<Record>,
        asking: Asking,
    ) -> Self {
        let sources = &draft.sources;
        let asking = |source: &SourceDraft| asking.or(source.answer_within, source.max_tries);
        let tries_left = |source| i32::try_from(asking(source).tries_left()).unwrap_or(i32::MAX);
        let asked_at = draft.created_at;
        let accepted = NewRow::lifecycle(&LifecycleEvent::accepted(draft, &owner));
        let rows = records.len() + 1;
        let requests = records.into_iter().map(|record| NewRow::request(draft.id, record));
        let mut create = Self {
            owner,
            id: draft.id.into(),
            name: draft.name.as_str().to_owned(),
            format: draft.format.as_str(),
            created_at: draft.created_at,
            expires_at: draft.expires_at,
            identity,
            source_tags: tags_of(sources),
            resource_ids: sources.iter().map(|source| source.id.into()).collect(),
            applications: sources.iter().map(|source| source.application.as_str().to_owned()).collect(),
            resources: sources.iter().map(|source| source.resource.as_str().to_owned()).collect(),
            filters: sources.iter().map(|source| source.filters.clone().map(Value::Object)).collect(),
            csv_formula_guards: sources.iter().map(|source| source.csv.formula_guard).collect(),
            csv_boms: sources.iter().map(|source| source.csv.bom).collect(),
            source_expiries: sources.iter().map(|source| source.expires_at).collect(),
            deadlines: sources.iter().map(|source| asking(source).deadline(asked_at)).collect(),
            tries_left: sources.iter().map(tries_left).collect(),
            next_asks: sources.iter().map(|source| asking(source).ask_again_at(asked_at)).collect(),
            event_ids: sources.iter().map(|source| source.event_id.into()).collect(),
            kinds: Vec::with_capacity(rows),
            topics: Vec::with_capacity(rows),
            keys: Vec::with_capacity(rows),
            headers: Vec::with_capacity(rows),
            payloads: Vec::with_capacity(rows),
        };
        for row in requests.chain([accepted]) {
            create.kinds.push(row.kind.as_str());
            create.topics.push(row.topic);
            create.keys.push(row.key);
            create.headers.push(row.headers);
            create.payloads.push(row.payload);
        }
        create
    }
}

/// Id and size: the rest says who the customer is and what is looked for.
impl fmt::Debug for CreateExport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateExport")
            .field("id", &self.id)
            .field("sources", &self.resource_ids.len())
            .finish_non_exhaustive()
    }
}

prepared_statement!(CreateExport, BigInt, |self, out| {
    out.push_sql("WITH owner AS (SELECT id FROM owners WHERE org_id = ");
    out.push_bind_param::<Text, _>(&self.owner.org_id)?;
    out.push_sql(" AND account = ");
    out.push_bind_param::<Text, _>(&self.owner.account)?;
    out.push_sql(" AND username = ");
    out.push_bind_param::<Text, _>(&self.owner.username)?;
    out.push_sql(
        "), export AS (INSERT INTO exports \
         (owner_id, id, name, format, created_at, expires_at, requester_identity, source_tags) \
         SELECT owner.id, ",
    );
    out.push_bind_param::<SqlUuid, _>(&self.id)?;
    out.push_sql(", ");
    out.push_bind_param::<Text, _>(&self.name)?;
    out.push_sql(", ");
    out.push_bind_param::<Text, _>(&self.format)?;
    out.push_sql(", ");
    out.push_bind_param::<Timestamptz, _>(&self.created_at)?;
    out.push_sql(", ");
    out.push_bind_param::<Timestamptz, _>(&self.expires_at)?;
    out.push_sql(", ");
    out.push_bind_param::<Text, _>(&self.identity)?;
    out.push_sql(", ");
    out.push_bind_param::<Array<Text>, _>(&self.source_tags)?;
    out.push_sql(
        " FROM owner RETURNING id, owner_id, created_at), \
         counted AS (INSERT INTO export_count_deltas (owner_id, delta) SELECT owner_id, 1 FROM export), \
         asked AS (INSERT INTO resources (export_id, id, position, application, resource, filters, \
         csv_formula_guard, csv_bom, expires_at, event_id, requested_at, deadline_at, tries_left, ask_again_at) \
         SELECT export.id, source.id, source.place - 1, source.application, source.resource, source.filters, \
         source.csv_formula_guard, source.csv_bom, source.expires_at, source.event_id, export.created_at, \
         source.deadline_at, source.tries_left, source.ask_again_at FROM export, \
         unnest(",
    );
    out.push_bind_param::<Array<SqlUuid>, _>(&self.resource_ids)?;
    out.push_sql(", ");
    out.push_bind_param::<Array<Text>, _>(&self.applications)?;
    out.push_sql(", ");
    out.push_bind_param::<Array<Text>, _>(&self.resources)?;
    out.push_sql(", ");
    out.push_bind_param::<Array<Nullable<Json>>, _>(&self.filters)?;
    out.push_sql(", ");
    out.push_bind_param::<Array<Bool>, _>(&self.csv_formula_guards)?;
    out.push_sql(", ");
    out.push_bind_param::<Array<Bool>, _>(&self.csv_boms)?;
    out.push_sql(", ");
    out.push_bind_param::<Array<Timestamptz>, _>(&self.source_expiries)?;
    out.push_sql(", ");
    out.push_bind_param::<Array<Timestamptz>, _>(&self.deadlines)?;
    out.push_sql(", ");
    out.push_bind_param::<Array<Integer>, _>(&self.tries_left)?;
    out.push_sql(", ");
    out.push_bind_param::<Array<Nullable<Timestamptz>>, _>(&self.next_asks)?;
    out.push_sql(", ");
    out.push_bind_param::<Array<SqlUuid>, _>(&self.event_ids)?;
    out.push_sql(
        ") WITH ORDINALITY AS source (id, application, resource, filters, csv_formula_guard, csv_bom, \
         expires_at, deadline_at, tries_left, ask_again_at, event_id, place)), \
         queued AS (INSERT INTO outbox (export_id, kind, topic, record_key, headers, payload, created_at) \
         SELECT export.id, record.kind, record.topic, record.key, record.headers, record.payload, \
         export.created_at FROM export, unnest(",
    );
    out.push_bind_param::<Array<Text>, _>(&self.kinds)?;
    out.push_sql(", ");
    out.push_bind_param::<Array<Text>, _>(&self.topics)?;
    out.push_sql(", ");
    out.push_bind_param::<Array<Text>, _>(&self.keys)?;
    out.push_sql(", ");
    out.push_bind_param::<Array<Json>, _>(&self.headers)?;
    out.push_sql(", ");
    out.push_bind_param::<Array<Binary>, _>(&self.payloads)?;
    out.push_sql(
        ") WITH ORDINALITY AS record (kind, topic, key, headers, payload, place) ORDER BY record.place) \
         SELECT owner_id FROM export",
    );
});

impl Store {
    /// Creates an export with its sources and queues the records that ask for them and the news of it, in one
    /// transaction.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing was created, unless the connection broke while the answer was on its
    /// way.
    pub async fn create_export(&self, create: CreateExport) -> Result<(), StoreError> {
        let create = std::sync::Arc::new(create);
        loop {
            let attempt = std::sync::Arc::clone(&create);
            let created = self
                .statement("create export", move |connection| {
                    Ok(RunQueryDsl::get_result::<i64>(&*attempt, connection).optional()?)
                })
                .await?;
            if created.is_some() {
                return Ok(());
            }
            self.add_owner(create.owner.clone()).await?;
        }
    }

    /// Makes sure there is a row for `owner`. Rows of owners are never deleted, so it need not share the
    /// transaction of what refers to it.
    async fn add_owner(&self, owner: Owner) -> Result<(), StoreError> {
        self.statement("add owner", move |connection| {
            diesel::insert_into(owners::table)
                .values((
                    owners::org_id.eq(&owner.org_id),
                    owners::account.eq(&owner.account),
                    owners::username.eq(&owner.username),
                ))
                .on_conflict_do_nothing()
                .execute(connection)?;
            Ok(())
        })
        .await
    }
}
