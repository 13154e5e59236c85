//! What each request is answered with.

use std::sync::Arc;

use export_source::{Answer, Refusal, Request};

use crate::{database::Database, resources::Resources};

/// Resources and the database that they are in.
#[derive(Debug, Clone)]
pub struct Queries {
    /// What there is.
    pub resources: Arc<Resources>,
    /// Where it is.
    pub database: Database,
}

impl Queries {
    /// The rows that the query of the request's resource selects.
    ///
    /// # Errors
    /// A refusal for what there is not, for filters that cannot be applied, and when the database cannot answer.
    pub async fn answer(self, request: Request) -> Result<Answer, Refusal> {
        let resource = self.resources.get(&request.resource)?;
        let bound = resource.bind(&request)?;
        Ok(Answer::bytes(self.database.rows(resource, &bound, request.format).await?))
    }
}
