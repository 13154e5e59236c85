//! A description as the tests use it: operations, and what each may answer.

use std::collections::BTreeMap;

use reqwest::{Method, Response};
use serde_json::{Value, json};

/// A description of an API.
pub(crate) struct Description {
    /// The document itself.
    pub(crate) document: Value,
    /// Every operation of it.
    pub(crate) operations: Vec<Operation>,
}

/// One method of one path.
pub(crate) struct Operation {
    /// Its `operationId`.
    pub(crate) id: String,
    /// Its method.
    pub(crate) method: Method,
    /// Its path, with `{parameters}`.
    pub(crate) path: String,
    /// What it may answer: by status, the schema of each content type.
    pub(crate) responses: BTreeMap<u16, BTreeMap<String, Value>>,
}

impl Description {
    pub(crate) fn public() -> Self {
        Self::read(&public_api::openapi_document())
    }

    pub(crate) fn internal() -> Self {
        Self::read(&internal_api::openapi_document())
    }

    fn read(document: &str) -> Self {
        let document: Value = serde_json::from_str(document).unwrap();
        let mut operations = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                operations.push(Operation::read(path, method, operation));
            }
        }
        Self { document, operations }
    }

    /// The answer must be one that `operation` says it gives, of this content type (None: any), and its JSON
    /// must be what the schema says, without further keys.
    pub(crate) async fn check(
        &self,
        operation: &Operation,
        status: u16,
        content_type: Option<&str>,
        response: Response,
    ) {
        let what = format!("{} {status}", operation.id);
        let documented = &operation.responses[&status];
        assert_eq!(response.status(), status, "{what}: {}", response.text().await.unwrap());
        let sent = response.headers().get("content-type").map(|value| value.to_str().unwrap().to_owned());
        let sent = sent.map(|value| value.split(';').next().unwrap().to_owned());
        if let Some(expected) = content_type {
            assert_eq!(sent.as_deref(), Some(expected), "{what}");
        }
        if status == 429 || status == 503 {
            assert!(response.headers().contains_key("retry-after"), "{what}");
        }
        let body = response.bytes().await.unwrap();
        if documented.is_empty() {
            assert!(body.is_empty(), "{what} has a body");
            return;
        }
        let sent = sent.unwrap_or_default();
        let schema = documented.get(&sent).unwrap_or_else(|| panic!("{what} is not said to be {sent}"));
        if sent == "application/json" {
            self.validate(schema, &serde_json::from_slice(&body).unwrap(), &what);
        }
    }

    fn validate(&self, schema: &Value, body: &Value, what: &str) {
        let mut schema = schema.clone();
        schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
        // Keys that are not described are a defect of the description.
        schema["unevaluatedProperties"] = json!(false);
        schema["components"] = self.document["components"].clone();
        let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
        let errors: Vec<String> =
            validator.iter_errors(body).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{what}: {errors:?} in {body}");
    }
}

impl Operation {
    fn read(path: &str, method: &str, operation: &Value) -> Self {
        let responses = operation["responses"].as_object().unwrap().iter().map(|(status, response)| {
            let content = response["content"].as_object().into_iter().flatten();
            let schemas = content.map(|(name, media)| {
                let schema = media.get("schema").cloned().unwrap_or_else(|| json!({}));
                (name.clone(), schema)
            });
            (status.parse().unwrap(), schemas.collect())
        });
        Self {
            id: operation["operationId"].as_str().unwrap().to_owned(),
            method: method.to_uppercase().parse().unwrap(),
            path: path.to_owned(),
            responses: responses.collect(),
        }
    }

    /// Its path with these parameters filled in.
    pub(crate) fn path_with(&self, parameters: &[(&str, &str)]) -> String {
        parameters
            .iter()
            .fold(self.path.clone(), |path, (name, value)| path.replace(&format!("{{{name}}}"), value))
    }
}
