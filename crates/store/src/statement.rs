//! Statements whose text never changes.
//!
//! Postgres parses such a statement once for each connection, and plans it once when the plan does not
//! depend on the values. Diesel's `sql_query` has it parsed and planned at every call, as is right where it
//! does depend on them, and its query builder changes the text of an insert with the number of rows; so the
//! statements of the busy paths are written out, with arrays where there are many rows.

/// Makes `$name` a statement that diesel prepares once and runs by name: `walk` pushes its text and binds.
macro_rules! prepared_statement {
    ($name:ident, $row:ty, |$self:ident, $out:ident| $walk:block) => {
        impl diesel::query_builder::QueryFragment<diesel::pg::Pg> for $name {
            fn walk_ast<'b>(
                &'b $self,
                mut $out: diesel::query_builder::AstPass<'_, 'b, diesel::pg::Pg>,
            ) -> diesel::QueryResult<()> {
                $walk
                Ok(())
            }
        }

        impl diesel::query_builder::QueryId for $name {
            type QueryId = Self;
            const HAS_STATIC_QUERY_ID: bool = true;
        }

        impl diesel::query_builder::Query for $name {
            type SqlType = $row;
        }

        impl diesel::RunQueryDsl<diesel::PgConnection> for &$name {}
    };
}

pub(crate) use prepared_statement;

#[cfg(test)]
mod tests {
    use diesel::{QueryableByName, RunQueryDsl as _, sql_types};
    use domain::{
        ApplicationName, Asking, Clock as _, CsvOptions, ExportDraft, ExportFormat, ExportName, ListQuery,
        Owner, Period, Record, ResourceName, SourceDraft, SystemClock,
        ids::{EventId, ExportId, ResourceId},
    };
    use testkit::TestDatabase;

    use crate::{CreateExport, Settings, Store};

    #[derive(Debug, QueryableByName)]
    struct Prepared {
        #[diesel(sql_type = sql_types::Text)]
        statement: String,
        #[diesel(sql_type = sql_types::BigInt)]
        uses: i64,
    }

    /// A new export with so many sources.
    fn create(owner: &Owner, sources: usize) -> (ExportId, CreateExport) {
        let now = SystemClock.now();
        let source = |_| SourceDraft {
            id: ResourceId::random(),
            event_id: EventId::random(),
            application: ApplicationName::parse("application").unwrap(),
            resource: ResourceName::parse("resource").unwrap(),
            filters: None,
            csv: CsvOptions::default(),
            expires_at: now,
            answer_within: None,
            max_tries: None,
        };
        let draft = ExportDraft {
            id: ExportId::random(),
            name: ExportName::parse("Nightly").unwrap(),
            format: ExportFormat::Json,
            created_at: now,
            expires_at: now,
            sources: (0..sources).map(source).collect(),
        };
        let record =
            Record { topic: String::new(), key: String::new(), headers: Vec::new(), payload: Vec::new() };
        let records = vec![record; sources];
        let asking = Asking { answer_within: Period::from_secs(24 * 3600), max_tries: 1 };
        (draft.id, CreateExport::new(&draft, owner.clone(), String::new(), records, asking))
    }

    #[tokio::test]
    async fn the_busy_statements_are_prepared_once_for_a_connection() {
        let database = TestDatabase::create().await.unwrap();
        let settings = Settings { url: database.url().into(), pool_size: 1, ..Settings::default() };
        let store = Store::connect(settings);
        store.migrate().await.unwrap();
        let owner = Owner { account: String::new(), org_id: "1".to_owned(), username: "jdoe".to_owned() };
        store.create_export(create(&owner, 1).1).await.unwrap();
        for sources in 1..=10 {
            let (id, create) = create(&owner, sources);
            store.create_export(create).await.unwrap();
            store.find_export(owner.clone(), id, SystemClock.now()).await.unwrap().unwrap();
            let query = ListQuery { limit: 50, ..ListQuery::default() };
            assert_eq!(store.list_exports(owner.clone(), query).await.unwrap().count, sources as u64 + 1);
        }
        let prepared: Vec<Prepared> = store
            .statement("prepared statements", |connection| {
                let sql =
                    "SELECT statement, generic_plans + custom_plans AS uses FROM pg_prepared_statements";
                Ok(diesel::sql_query(sql).load(connection)?)
            })
            .await
            .unwrap();
        let page = "FROM \"exports\" WHERE";
        // The first export of all took two runs: its owner was missing.
        for (part, uses) in [
            ("WITH owner AS", 12),
            ("SELECT id, export_count", 10),
            ("\"resources\".\"position\"", 10),
            (page, 10),
        ] {
            let found: Vec<_> = prepared.iter().filter(|row| row.statement.contains(part)).collect();
            assert_eq!(found.iter().map(|row| row.uses).collect::<Vec<_>>(), [uses], "{part}: {prepared:?}");
        }
    }
}
