//! An application reports that it cannot deliver (S0-19).

use actix_web::{HttpResponse, web};
use domain::SourceError;
use serde_json::Value;
use service::http::{BodyLimits, ErrorBody, read_json};
use store::AnswerOutcome;

use crate::{
    api::Api,
    application::CallingApplication,
    error::ApiError,
    target::{self, SourcePath},
    upload::refused,
};

/// Largest report.
const MAX_REPORT_BYTES: u64 = 64 * 1024;

/// Why a source will not be delivered.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it describes what `parse` reads")]
pub(crate) struct ErrorReport {
    /// For the customer; of more than 1,024 bytes the beginning is kept.
    message: String,
    /// Any integer but zero, by custom an HTTP status; `code` is another name for it.
    error: i64,
}

/// Settles a source with an error. The body is read as JSON whatever its Content-Type says.
#[utoipa::path(post, path = "/app/export/v1/{export_id}/{application}/{resource_id}/error", tag = "answers",
    security(("application-key" = []), ("application-token" = [])),
    params(
        ("export_id" = uuid::Uuid, Path, description = "The export."),
        ("application" = String, Path, description = "The calling application; may be percent-encoded twice."),
        ("resource_id" = uuid::Uuid, Path, description = "The source that is answered.")),
    request_body(content_type = "application/json", content = ErrorReport),
    responses(
        (status = 202, description = "The source has failed for this reason."),
        (status = 400, description = "The key is missing, an id is no UUID, or the report is incomplete.",
            body = ErrorBody),
        (status = 401, description = "The key is wrong, or the token is.", body = ErrorBody),
        (status = 403, description = "The key, the token or the source is another application's.", body = ErrorBody),
        (status = 404, description = "There is no such export or source.", body = ErrorBody),
        (status = 408, description = "The report arrives too slowly.", body = ErrorBody),
        (status = 410, description = "The source was answered otherwise.", body = ErrorBody),
        (status = 413, description = "The report is too large.", body = ErrorBody),
        (status = 503, description = "Try again.", body = ErrorBody)))]
pub(crate) async fn report_error(
    api: web::Data<Api>,
    caller: CallingApplication,
    path: SourcePath,
    limits: web::Data<BodyLimits>,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    target::find(&api, &caller, path).await?;
    let body: Value = read_json(payload.into_inner(), &limits, MAX_REPORT_BYTES).await?;
    let error = parse(&body).ok_or(ApiError::IncompleteReport)?;
    let outcome =
        api.store.answer_with_error(path.export_id, path.resource_id, error, api.clock.now()).await?;
    service::failpoint!("internal-api::error-settled");
    match outcome {
        AnswerOutcome::Settled(_) | AnswerOutcome::Repeated => Ok(HttpResponse::Accepted().finish()),
        other => Err(refused(&api, path, other)),
    }
}

fn parse(body: &Value) -> Option<SourceError> {
    let message = body.get("message")?.as_str()?;
    let code = body.get("error").or_else(|| body.get("code"))?.as_i64()?;
    (code != 0).then(|| SourceError::new(code, message))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn s0_19_a_report_needs_a_message_and_a_code_that_is_not_zero() {
        let error = SourceError::new(404, "no");
        assert_eq!(parse(&json!({"message": "no", "error": 404})), Some(error.clone()));
        assert_eq!(parse(&json!({"message": "no", "code": 404})), Some(error));
        assert!(parse(&json!({"message": "", "error": -1})).is_some());
        for incomplete in [
            json!({"message": "x"}),
            json!({"error": 404}),
            json!({"message": "x", "error": 0}),
            json!({"message": "x", "error": "404"}),
            json!({"message": "x", "error": 1.5}),
            json!({"message": 1, "error": 404}),
            json!([]),
        ] {
            assert_eq!(parse(&incomplete), None, "{incomplete}");
        }
    }
}
