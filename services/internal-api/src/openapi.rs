//! The description of the API (OpenAPI 3.1), made from the code of its endpoints.

use utoipa::{
    Modify, OpenApi,
    openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use crate::{
    registry, report, resumable,
    routes::{self, BASE_PATHS},
    target::SOURCE_FIRST,
    upload,
};

/// The document that is served and kept in `schemas/openapi/internal-api.json`.
pub fn document() -> String {
    // Unwrap safety: the document is made of texts and lists only, which always serialise.
    #[expect(clippy::expect_used, reason = "see above")]
    let mut text = InternalApi::openapi().to_pretty_json().expect("texts and lists serialise");
    text.push('\n');
    text
}

#[derive(OpenApi)]
#[openapi(
    info(title = "Exports, for source applications", description = "Deliver the data of a source, or an error.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")),
    paths(
        routes::ping,
        upload::upload,
        report::report_error,
        resumable::begin::begin_resumable_upload,
        resumable::append::append_to_upload,
        resumable::inspect::resumable_offset,
        resumable::inspect::resumable_options,
        resumable::terminate::terminate_upload,
        registry::registry,
        registry::registered_application,
    ),
    modifiers(&KeysAndTokens, &EveryPath),
)]
struct InternalApi;

/// Who calls.
struct KeysAndTokens;

impl Modify for KeysAndTokens {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        for (name, whose) in
            [("application-key", "The application's key."), ("operator-key", "An operator's key.")]
        {
            let header = ApiKeyValue::with_description("x-rh-exports-psk", whose);
            components.add_security_scheme(name, SecurityScheme::ApiKey(ApiKey::Header(header)));
        }
        let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT");
        let token = token.description(Some(
            "Instead of a key: an access token of the platform's OpenID issuer (client credentials).",
        ));
        components.add_security_scheme("application-token", SecurityScheme::Http(token.build()));
    }
}

/// Each operation is served under both bases, and those of the field in both orders of its path.
struct EveryPath;

impl Modify for EveryPath {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let described = std::mem::take(&mut document.paths.paths);
        for (path, item) in described {
            for (i, alias) in aliases(&path).into_iter().enumerate() {
                let mut item = item.clone();
                for operation in [
                    &mut item.get,
                    &mut item.post,
                    &mut item.head,
                    &mut item.patch,
                    &mut item.delete,
                    &mut item.options,
                ]
                .into_iter()
                .flatten()
                {
                    // Ids are unique in a document.
                    if let (Some(id), 1..) = (&operation.operation_id, i) {
                        operation.operation_id = Some(format!("{id}_{}", i + 1));
                    }
                }
                document.paths.paths.insert(alias, item);
            }
        }
    }
}

/// All paths of an operation; the one it is described under is the first.
fn aliases(described: &str) -> Vec<String> {
    let rest = described.strip_prefix(BASE_PATHS[0]).unwrap_or(described);
    let mut rests = vec![rest.to_owned()];
    if let Some(verb @ ("/upload" | "/error")) = rest.strip_prefix(SOURCE_FIRST) {
        rests.push(format!("{verb}{SOURCE_FIRST}"));
    }
    BASE_PATHS.iter().flat_map(|base| rests.iter().map(move |rest| format!("{base}{rest}"))).collect()
}
