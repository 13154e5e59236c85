//! The description of the API (OpenAPI 3.1), made from the code of its endpoints.

use utoipa::{
    Modify, OpenApi,
    openapi::{
        RefOr,
        security::{ApiKey, ApiKeyValue, SecurityScheme},
    },
};

use crate::{applications, exports};

/// The document that is served and kept in `schemas/openapi/public-api.json`.
pub fn document() -> String {
    // Unwrap safety: the document is made of texts and lists only, which always serialise.
    #[expect(clippy::expect_used, reason = "see above")]
    let mut text = PublicApi::openapi().to_pretty_json().expect("texts and lists serialise");
    text.push('\n');
    text
}

#[derive(OpenApi)]
#[openapi(
    info(title = "Exports", description = "Create an export, watch it, download one archive, delete it.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")),
    paths(
        crate::ping,
        applications::list_applications,
        exports::create_export,
        exports::list_exports,
        exports::export_status,
        exports::download_export,
        exports::delete_export,
        exports::retry_source,
    ),
    modifiers(&Identity, &HeadOfDownload),
)]
struct PublicApi;

/// HEAD is GET without a body and, by RFC 9110, without ranges.
struct HeadOfDownload;

impl Modify for HeadOfDownload {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        for head in document.paths.paths.values_mut().filter_map(|item| item.head.as_mut()) {
            // Ids are unique in a document.
            head.operation_id = head.operation_id.take().map(|id| format!("{id}_head"));
            let responses = &mut head.responses.responses;
            responses.retain(|status, _| status != "206" && status != "416");
            for response in responses.values_mut() {
                if let RefOr::T(response) = response {
                    response.content.clear();
                }
            }
        }
    }
}

/// Who calls: set by the gateway.
struct Identity;

impl Modify for Identity {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let header = ApiKeyValue::with_description("x-rh-identity", "Base64 JSON, set by the gateway.");
        let scheme = SecurityScheme::ApiKey(ApiKey::Header(header));
        document.components.get_or_insert_default().add_security_scheme("identity", scheme);
    }
}
