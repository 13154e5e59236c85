//! Settings from files and the environment.
//!
//! One TOML file may serve all services: each takes the sections it knows, ignores those of the
//! others, and refuses to start over a section or a key that nobody knows, because that is a typing
//! error whose effect would be silence.

mod reference;
mod schema;
mod sources;

use std::{io, path::PathBuf};

use config::Value;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

pub use self::reference::{Program, reference};
use self::sources::Table;

/// Every section of a settings file, of whichever service.
pub const SECTIONS: [&str; 16] = [
    "telemetry",
    "lifecycle",
    "database",
    "kafka",
    "events",
    "lifecycle_events",
    "announce",
    "object_store",
    "applications",
    "oidc",
    "public_api",
    "internal_api",
    "dispatcher",
    "expiry_reaper",
    "intake",
    "standalone",
];

/// Settings that a program cannot start with.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A settings file cannot be read.
    #[error("cannot read the settings file {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A settings file is not TOML. The line itself is not shown, as it may hold a secret.
    #[error("the settings file {}, line {line}, is not valid TOML: {reason}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1 on.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// A section or a key that no service has.
    #[error("unknown setting `{key}` in {origin}; known are: {}", known.join(", "))]
    Unknown {
        /// The key with its section, as `section.key`.
        key: String,
        /// The file or the environment variable that has it.
        origin: String,
        /// The keys that are known in its place.
        known: Vec<String>,
    },
    /// One value where a list or a section belongs. The value is not shown, as it may be a secret.
    #[error("wrong settings: `{key}` in {origin} must be {expected}")]
    Single {
        /// The key with its section.
        key: String,
        /// The file or the environment variable that has it.
        origin: String,
        /// What belongs there.
        expected: &'static str,
    },
    /// A value is missing or of the wrong kind; the text names the key.
    #[error("wrong settings: {0}")]
    Value(String),
}

/// Reads settings from `files`, a later one taking precedence over an earlier one, and then from the
/// environment: `EXPORTS__SECTION__KEY=value` sets `key` of `[section]`; a list is written as in TOML,
/// `["a", "b"]`. A name from the environment means the key that a file holds in whatever case, else
/// the key in lower case.
///
/// # Errors
/// [`ConfigError`] if a file cannot be read, a section or key is unknown, or a value is missing or
/// wrong.
pub fn load<T: DeserializeOwned + JsonSchema>(files: &[PathBuf]) -> Result<T, ConfigError> {
    load_from(files, environment())
}

/// Like [`load`], with `environment` in place of the process's own.
///
/// # Errors
/// As [`load`].
pub fn load_from<T: DeserializeOwned + JsonSchema>(
    files: &[PathBuf],
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<T, ConfigError> {
    let settings = sources::collect(files, environment)?;
    let schema = schema::of::<T>();
    schema::refuse_unknown_sections(&settings, &[&schema])?;
    take(&settings, &schema)
}

/// Like [`load`], for two types that read different sections.
pub(crate) fn load_both<A, B>(files: &[PathBuf]) -> Result<(A, B), ConfigError>
where
    A: DeserializeOwned + JsonSchema,
    B: DeserializeOwned + JsonSchema,
{
    let settings = sources::collect(files, environment())?;
    let (one, other) = (schema::of::<A>(), schema::of::<B>());
    schema::refuse_unknown_sections(&settings, &[&one, &other])?;
    Ok((take(&settings, &one)?, take(&settings, &other)?))
}

fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .map(|(name, text)| (name.to_string_lossy().into_owned(), text.to_string_lossy().into_owned()))
}

/// The sections of `schema` as a `T`.
fn take<T: DeserializeOwned>(settings: &Table, schema: &Json) -> Result<T, ConfigError> {
    let mut sections = settings.clone();
    sections.retain(|section, _| schema["properties"].get(section).is_some());
    schema::check_keys(&sections, schema, "")?;
    Value::new(None, sections).try_deserialize().map_err(|error| ConfigError::Value(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, io::Write as _};

    use domain::{ByteSize, Period, Secret};
    use serde::{Deserialize, Serialize};
    use tempfile::NamedTempFile;

    use super::*;

    #[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields, default)]
    struct Api {
        workers: Option<usize>,
        timeout: Option<Period>,
        limit: Option<ByteSize>,
        keys: Vec<String>,
        on: bool,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Database {
        url: Secret,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Settings {
        #[serde(default)]
        public_api: Api,
        #[serde(default)]
        applications: BTreeMap<String, Api>,
        database: Option<Database>,
    }

    fn file(text: &str) -> NamedTempFile {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    fn read(texts: &[&str], environment: &[(&str, &str)]) -> Result<Settings, ConfigError> {
        let files: Vec<_> = texts.iter().map(|text| file(text)).collect();
        let paths: Vec<_> = files.iter().map(|file| file.path().to_owned()).collect();
        load_from(&paths, environment.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())))
    }

    fn refusal(texts: &[&str], environment: &[(&str, &str)]) -> String {
        read(texts, environment).unwrap_err().to_string()
    }

    #[test]
    fn a_later_file_wins_key_by_key() {
        let settings =
            read(&["[public_api]\nworkers = 2\non = true", "[public_api]\nworkers = 3"], &[]).unwrap();
        assert_eq!(settings.public_api.workers, Some(3));
        assert!(settings.public_api.on);
    }

    #[test]
    fn the_environment_wins_over_files_and_brings_every_kind_of_value() {
        let settings = read(
            &["[public_api]\nworkers = 2"],
            &[
                ("EXPORTS__PUBLIC_API__WORKERS", "7"),
                ("EXPORTS__PUBLIC_API__TIMEOUT", "30s"),
                ("EXPORTS__PUBLIC_API__LIMIT", "256KiB"),
                ("EXPORTS__PUBLIC_API__KEYS", r#"["a", "b"]"#),
                ("EXPORTS__PUBLIC_API__ON", "true"),
                ("EXPORTS_TEST_SERVERS", "none of ours"),
            ],
        );
        let api = settings.unwrap().public_api;
        assert_eq!((api.workers, api.on), (Some(7), true));
        assert_eq!((api.timeout, api.limit), (Some(Period::from_secs(30)), Some(ByteSize::from_kib(256))));
        assert_eq!(api.keys, ["a", "b"]);
    }

    #[test]
    fn names_from_the_environment_mean_the_names_in_files_whatever_their_case() {
        let settings = read(
            &["[applications.exampleApplication]\non = true\n[applications.\"urn:a:b\"]"],
            &[("EXPORTS__APPLICATIONS__EXAMPLEAPPLICATION__WORKERS", "4")],
        );
        let applications = settings.unwrap().applications;
        assert_eq!(applications.keys().collect::<Vec<_>>(), ["exampleApplication", "urn:a:b"]);
        assert_eq!(applications["exampleApplication"].workers, Some(4));
    }

    #[test]
    fn sections_of_other_services_are_left_alone() {
        let files = ["[dispatcher]\nanything = 1\n[database]\nurl = \"x\""];
        let settings = read(&files, &[("EXPORTS__KAFKA__X", "1")]).unwrap();
        assert_eq!(settings.database.unwrap().url.expose(), "x");
    }

    #[test]
    fn an_unknown_section_or_key_is_refused_by_name_and_origin() {
        let file = file("[public_api]\nworker = 1");
        let error = load_from::<Settings>(&[file.path().to_owned()], []).unwrap_err().to_string();
        let expected = format!(
            "unknown setting `public_api.worker` in {}; known are: keys, limit, on, timeout, workers",
            file.path().display()
        );
        assert_eq!(error, expected);
        assert!(refusal(&["[pubic_api]"], &[]).starts_with("unknown setting `pubic_api` in "));
        assert!(
            refusal(&[], &[("EXPORTS__PUBLIC_API__WROKERS", "1")])
                .starts_with("unknown setting `public_api.wrokers` in EXPORTS__PUBLIC_API__WROKERS; ")
        );
        assert!(
            refusal(&["[applications.a]\nkey = 1"], &[])
                .starts_with("unknown setting `applications.a.key` in ")
        );
        assert!(
            refusal(&["[database]\nurl = \"x\"\nuri = \"y\""], &[])
                .starts_with("unknown setting `database.uri`")
        );
    }

    #[test]
    fn a_wrong_or_missing_value_is_refused_by_name() {
        let wrong = refusal(&[], &[("EXPORTS__PUBLIC_API__WORKERS", "many")]);
        assert!(wrong.contains("public_api.workers") && wrong.contains("many"), "{wrong}");
        let unitless = refusal(&["[public_api]\ntimeout = 30"], &[]);
        assert!(unitless.contains("public_api.timeout") && unitless.contains("30s"), "{unitless}");
        let missing = refusal(&["[database]"], &[]);
        assert!(missing.contains("database.url"), "{missing}");
    }

    #[test]
    fn a_secret_in_the_wrong_place_is_refused_without_showing_it() {
        let unlisted = refusal(&[], &[("EXPORTS__APPLICATIONS__A__KEYS", "hunter2")]);
        let expected = "wrong settings: `applications.a.keys` in EXPORTS__APPLICATIONS__A__KEYS must be a list, \
                        as [\"a\", \"b\"]";
        assert_eq!(unlisted, expected);
        let unnamed = refusal(&[], &[("EXPORTS__DATABASE", "postgres://u:hunter2@h/d")]);
        assert_eq!(unnamed, "wrong settings: `database` in EXPORTS__DATABASE must be a section");
        let several = refusal(&["[database]\nurl = ['hunter2']"], &[]);
        assert!(several.contains("database.url") && !several.contains("hunter2"), "{several}");
    }

    #[test]
    fn a_file_that_is_not_toml_is_refused_without_showing_its_line() {
        let error = refusal(&["[database]\nurl = \"postgres://u:hunter2@h/d"], &[]);
        assert!(error.contains("line 2") && !error.contains("hunter2"), "{error}");
        let gone = load_from::<Settings>(&["/nowhere.toml".into()], []).unwrap_err();
        assert_eq!(gone.to_string(), "cannot read the settings file /nowhere.toml");
    }

    #[test]
    fn a_key_that_is_a_section_elsewhere_is_refused_not_panicked_over() {
        assert!(refusal(&["public_api = 3"], &[]).contains("public_api"));
        assert!(refusal(&["[public_api]"], &[("EXPORTS__PUBLIC_API", "x")]).contains("public_api"));
        assert!(
            refusal(&["[public_api]\nworkers = 3"], &[("EXPORTS__PUBLIC_API__WORKERS__X", "x")])
                .contains("public_api.workers")
        );
    }
}
