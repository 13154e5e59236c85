//! Listing a caller's exports, with an exact count.

use std::collections::HashMap;

use diesel::{
    ExpressionMethods as _, OptionalExtension as _, PgArrayExpressionMethods as _, PgConnection,
    QueryDsl as _, RunQueryDsl, SelectableHelper as _,
    pg::Pg,
    sql_types::{BigInt, Text},
};
use domain::{Export, ListQuery, Owner, SortDirection, SortField};
use uuid::Uuid;

use crate::{
    error::StoreError, pool::Store, rows::ExportRow, schema::exports, source_tags::wanted_tag,
    statement::prepared_statement,
};

/// One page of a listing.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportPage {
    /// How many exports match in all.
    pub count: u64,
    /// The page itself.
    pub exports: Vec<Export>,
}

/// From this offset on a page lies deep: reading the rows before it costs more than two more round trips.
const DEEP: u64 = 1000;

/// An owner with more exports than this shares a part of the connections with others of his kind for what reads
/// them all.
const FEW: i64 = 10_000;

/// The id of an owner, and how many exports he has.
struct CountOf(Owner);

prepared_statement!(CountOf, (BigInt, BigInt), |self, out| {
    out.push_sql(
        "SELECT id, export_count + (SELECT coalesce(sum(delta), 0)::bigint FROM export_count_deltas \
         WHERE owner_id = owners.id) FROM owners WHERE org_id = ",
    );
    out.push_bind_param::<Text, _>(&self.0.org_id)?;
    out.push_sql(" AND account = ");
    out.push_bind_param::<Text, _>(&self.0.account)?;
    out.push_sql(" AND username = ");
    out.push_bind_param::<Text, _>(&self.0.username)?;
});

impl Store {
    /// The exports of `owner` that match `query`, expired ones included, deleted ones not. The count is
    /// exact; for pages that do not lie deep it is taken a moment before the page. With a filter or a deep
    /// page it reads up to all rows of `owner`; where these are many, few such calls run at a time.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_exports(&self, owner: Owner, query: ListQuery) -> Result<ExportPage, StoreError> {
        let deep = query.offset >= DEEP;
        let reads_many = (has_filter(&query) || deep) && !self.has_few(owner.clone()).await?;
        let work = move |connection: &mut PgConnection| {
            if !deep {
                return list(connection, &owner, &query);
            }
            // Of one snapshot, because what counts from the end must agree with the count.
            let mut snapshot = connection.build_transaction().repeatable_read().read_only();
            snapshot.run(|connection| list(connection, &owner, &query))
        };
        if reads_many {
            self.long_statement("search exports", work).await
        } else {
            self.statement("list exports", work).await
        }
    }

    /// Whether `owner` has so few exports that reading them all is a matter of milliseconds.
    async fn has_few(&self, owner: Owner) -> Result<bool, StoreError> {
        self.statement("count exports", move |connection| {
            let counted: Option<(i64, i64)> =
                RunQueryDsl::get_result(&CountOf(owner.clone()), connection).optional()?;
            Ok(counted.is_none_or(|(_, all)| all <= FEW))
        })
        .await
    }
}

fn list(connection: &mut PgConnection, owner: &Owner, query: &ListQuery) -> Result<ExportPage, StoreError> {
    let counted: Option<(i64, i64)> =
        RunQueryDsl::get_result(&CountOf(owner.clone()), connection).optional()?;
    let Some((owner_id, all)) = counted else { return Ok(ExportPage { count: 0, exports: Vec::new() }) };
    let count =
        if has_filter(query) { matching(owner_id, query).count().get_result(connection)? } else { all };
    let count = u64::try_from(count).unwrap_or(0);
    let exports = match query {
        ListQuery { limit: 0, .. } => Vec::new(),
        ListQuery { offset, .. } if *offset >= count => Vec::new(),
        ListQuery { offset, .. } if *offset < DEEP => page(connection, owner_id, query)?,
        _ => deep_page(connection, owner_id, query, count)?,
    };
    Ok(ExportPage { count, exports })
}

fn page(connection: &mut PgConnection, owner_id: i64, query: &ListQuery) -> Result<Vec<Export>, StoreError> {
    let rows = ordered(matching(owner_id, query).select(ExportRow::as_select()), query)
        .limit(query.limit.try_into().unwrap_or(i64::MAX))
        .offset(query.offset.try_into().unwrap_or(i64::MAX))
        .load::<ExportRow>(connection)?;
    rows.into_iter().map(Export::try_from).collect()
}

/// A page that starts at [`DEEP`] or later, and before `count`: what is skipped is skipped in the index
/// alone, from the nearer end.
fn deep_page(
    connection: &mut PgConnection,
    owner_id: i64,
    query: &ListQuery,
    count: u64,
) -> Result<Vec<Export>, StoreError> {
    let mut query = query.clone();
    query.limit = query.limit.min(count - query.offset);
    let from_end = query.offset > count / 2;
    if from_end {
        query.offset = count - query.offset - query.limit;
        query.direction = match query.direction {
            SortDirection::Ascending => SortDirection::Descending,
            SortDirection::Descending => SortDirection::Ascending,
        };
    }
    let mut ids: Vec<Uuid> = ordered(matching(owner_id, &query).select(exports::id), &query)
        .limit(query.limit.try_into().unwrap_or(i64::MAX))
        .offset(query.offset.try_into().unwrap_or(i64::MAX))
        .load(connection)?;
    if from_end {
        ids.reverse();
    }
    let rows = exports::table.filter(exports::id.eq_any(&ids)).select(ExportRow::as_select());
    let mut rows = rows.load(connection)?.into_iter().map(|row| (row.id, row)).collect::<HashMap<_, _>>();
    ids.iter().filter_map(|id| rows.remove(id)).map(Export::try_from).collect()
}

/// Puts rows into the order of `query`. Each order has its index.
fn ordered<'a, T>(rows: exports::BoxedQuery<'a, Pg, T>, query: &ListQuery) -> exports::BoxedQuery<'a, Pg, T> {
    match (query.sort, query.direction) {
        (SortField::Name, SortDirection::Ascending) => rows.order((exports::name.asc(), exports::id.asc())),
        (SortField::Name, SortDirection::Descending) => {
            rows.order((exports::name.desc(), exports::id.desc()))
        }
        (SortField::CreatedAt, SortDirection::Ascending) => {
            rows.order((exports::created_at.asc(), exports::id.asc()))
        }
        (SortField::CreatedAt, SortDirection::Descending) => {
            rows.order((exports::created_at.desc(), exports::id.desc()))
        }
        (SortField::ExpiresAt, SortDirection::Ascending) => {
            rows.order((exports::expires_at.asc(), exports::id.asc()))
        }
        (SortField::ExpiresAt, SortDirection::Descending) => {
            rows.order((exports::expires_at.desc(), exports::id.desc()))
        }
    }
}

fn has_filter(query: &ListQuery) -> bool {
    query.name.is_some()
        || query.status.is_some()
        || query.application.is_some()
        || query.resource.is_some()
        || query.created_at.is_some()
        || query.expires_at.is_some()
}

fn matching(owner_id: i64, query: &ListQuery) -> exports::BoxedQuery<'_, Pg> {
    let mut rows = exports::table
        .filter(exports::owner_id.eq(owner_id))
        .filter(exports::deleted_at.is_null())
        .into_boxed();
    if let Some(name) = &query.name {
        rows = rows.filter(exports::name.eq(name));
    }
    if let Some(status) = &query.status {
        rows = rows.filter(exports::status.eq(status));
    }
    if let Some(start) = query.created_at {
        rows = rows.filter(exports::created_at.between(start, ListQuery::window_end(start)));
    }
    if let Some(start) = query.expires_at {
        rows = rows.filter(exports::expires_at.between(start, ListQuery::window_end(start)));
    }
    if let Some(tag) = wanted_tag(query.application.as_deref(), query.resource.as_deref()) {
        rows = rows.filter(exports::source_tags.contains(vec![tag]));
    }
    rows
}
