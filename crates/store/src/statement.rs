//! Statements whose text never changes.
//!
//! Postgres plans such a statement once for each connection. Diesel's `sql_query` has it parsed and planned
//! at every call, and its query builder changes the text with the number of rows; so the statements of the
//! busy paths are written out, with arrays where there are many rows.

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
