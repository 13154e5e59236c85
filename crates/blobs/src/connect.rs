//! From settings to a client of the store.

use std::{env, path::PathBuf, time::Duration};

use object_store::{
    BackoffConfig, Certificate, ClientOptions, Error as StoreError, ObjectStore, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
    azure::{MicrosoftAzure, MicrosoftAzureBuilder},
    gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder},
    list::PaginatedListStore,
    local::LocalFileSystem,
    multipart::MultipartStore,
    path::Path,
    signer::Signer,
};
use tokio::runtime::Handle;

use crate::{
    backend::{Backend, Store},
    memory::MIN_POOL_BYTES,
    settings::{AzureSettings, GcsSettings, Kind, LocalSettings, S3Settings, Settings},
};

/// All that is stored is gzip.
const CONTENT_TYPE: &str = "application/gzip";

/// Why no client could be made from the settings. Nothing was sent to the store yet.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A setting that this kind of store needs is missing or wrong.
    #[error("object_store.{setting}: {reason}")]
    Setting {
        /// The setting, below `[object_store]`.
        setting: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A file or folder named by the settings cannot be used.
    #[error("cannot use {path}")]
    File {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The client library refuses the settings.
    #[error("the settings of the object storage do not fit")]
    Client(#[source] StoreError),
    /// The threads that compress cannot be had.
    #[error("cannot start the threads that compress")]
    Threads(#[source] std::io::Error),
    /// Called outside a Tokio runtime, on which the client's connections would live.
    #[error("no Tokio runtime")]
    NoRuntime,
}

impl ConnectError {
    fn setting(setting: &'static str, reason: impl Into<String>) -> Self {
        Self::Setting { setting, reason: reason.into() }
    }
}

/// Makes the client that `settings` describe.
pub(crate) fn backend(settings: &Settings, runtime: Handle) -> Result<Backend, ConnectError> {
    let prefix = prefix(&settings.prefix)?;
    if settings.upload_memory.as_len() < MIN_POOL_BYTES {
        return Err(ConnectError::setting("upload_memory", "is less than 24MiB, with which one upload runs"));
    }
    let store = match settings.kind {
        Kind::Local => local(&settings.local)?,
        Kind::S3 => {
            remote(settings, settings.s3.allow_http, |options, retries| s3(&settings.s3, options, retries))?
        }
        Kind::Azure => remote(settings, settings.azure.allow_http, |options, retries| {
            azure(&settings.azure, options, retries)
        })?,
        Kind::Gcs => remote(settings, settings.gcs.allow_http, |options, retries| {
            gcs(&settings.gcs, options, retries)
        })?,
    };
    Ok(Backend::new(store, prefix, settings.stall_timeout.as_duration(), runtime))
}

fn prefix(prefix: &str) -> Result<Path, ConnectError> {
    let trimmed = prefix.trim_matches('/');
    if trimmed.is_empty() || trimmed.parse::<crate::ObjectKey>().is_ok() {
        Path::parse(trimmed).map_err(|error| ConnectError::setting("prefix", error.to_string()))
    } else {
        Err(ConnectError::setting("prefix", "only letters, digits, `-` and `/`"))
    }
}

fn local(settings: &LocalSettings) -> Result<Store, ConnectError> {
    let path = settings.directory.clone();
    let file = |source| ConnectError::File { path: path.clone(), source };
    std::fs::create_dir_all(&path).map_err(file)?;
    let root = std::fs::canonicalize(&path).map_err(file)?;
    let files = LocalFileSystem::new_with_prefix(&root).map_err(ConnectError::Client)?;
    Ok(Store::local(files.with_fsync(true).with_automatic_cleanup(true), root))
}

/// Two clients of one store: a request that stores has a limited time in all; how long an answer is read is
/// up to the reader, who watches that it does not stall.
fn remote<S>(
    settings: &Settings,
    allow_http: bool,
    build: impl Fn(ClientOptions, RetryConfig) -> Result<S, ConnectError>,
) -> Result<Store, ConnectError>
where
    S: ObjectStore + MultipartStore + PaginatedListStore + Signer,
{
    let options = client_options(settings, allow_http)?;
    let unhurried = options.clone().with_timeout_disabled();
    Ok(Store::remote(build(options, retries(settings))?, build(unhurried, retries(settings))?))
}

fn s3(settings: &S3Settings, options: ClientOptions, retries: RetryConfig) -> Result<AmazonS3, ConnectError> {
    let builder = match (&settings.access_key_id, &settings.secret_access_key) {
        // The environment is not asked then: its session token would belong to other keys.
        (Some(id), Some(secret)) => {
            AmazonS3Builder::new().with_access_key_id(id).with_secret_access_key(secret.expose())
        }
        (None, None) => AmazonS3Builder::from_env(),
        _ => {
            return Err(ConnectError::setting(
                "s3.access_key_id",
                "access_key_id and secret_access_key go together",
            ));
        }
    };
    let mut builder = builder
        .with_bucket_name(required("s3.bucket", &settings.bucket)?)
        .with_client_options(options)
        .with_retry(retries)
        .with_virtual_hosted_style_request(!settings.path_style)
        .with_unsigned_payload(!settings.sign_payload)
        // Not every server has the bulk request; ours delete one at a time anyway.
        .with_disable_bulk_delete(true);
    // Unlike a session token, it goes with whichever keys.
    let of_environment = || env::var("AWS_REGION").ok().filter(|region| !region.is_empty());
    if let Some(region) = settings.region.clone().or_else(of_environment) {
        builder = builder.with_region(region);
    }
    if let Some(endpoint) = &settings.endpoint {
        builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
    }
    if let Some(token) = &settings.session_token {
        builder = builder.with_token(token.expose());
    }
    builder.build().map_err(ConnectError::Client)
}

fn azure(
    settings: &AzureSettings,
    options: ClientOptions,
    retries: RetryConfig,
) -> Result<MicrosoftAzure, ConnectError> {
    let mut builder = MicrosoftAzureBuilder::from_env()
        .with_container_name(required("azure.container", &settings.container)?)
        .with_client_options(options)
        .with_retry(retries);
    if settings.use_emulator {
        builder = builder.with_use_emulator(true);
    }
    if !settings.account.is_empty() {
        builder = builder.with_account(&settings.account);
    }
    if let Some(key) = &settings.access_key {
        builder = builder.with_access_key(key.expose());
    }
    if let Some(endpoint) = &settings.endpoint {
        builder = builder.with_endpoint(endpoint.trim_end_matches('/').to_owned());
    }
    builder.build().map_err(ConnectError::Client)
}

fn gcs(
    settings: &GcsSettings,
    options: ClientOptions,
    retries: RetryConfig,
) -> Result<GoogleCloudStorage, ConnectError> {
    let mut builder = GoogleCloudStorageBuilder::from_env()
        .with_bucket_name(required("gcs.bucket", &settings.bucket)?)
        .with_client_options(options)
        .with_retry(retries);
    if let Some(file) = &settings.service_account_file {
        builder = builder.with_service_account_path(file.to_string_lossy());
    }
    if let Some(key) = &settings.service_account_key {
        builder = builder.with_service_account_key(key.expose());
    }
    if let Some(endpoint) = &settings.endpoint {
        builder = builder.with_base_url(endpoint.trim_end_matches('/'));
    }
    builder.build().map_err(ConnectError::Client)
}

fn required<'a>(setting: &'static str, value: &'a str) -> Result<&'a str, ConnectError> {
    if value.is_empty() { Err(ConnectError::setting(setting, "is required")) } else { Ok(value) }
}

fn client_options(settings: &Settings, allow_http: bool) -> Result<ClientOptions, ConnectError> {
    let mut options = ClientOptions::new()
        .with_connect_timeout(settings.connect_timeout.as_duration())
        .with_timeout(settings.request_timeout.as_duration())
        .with_default_content_type(CONTENT_TYPE)
        .with_allow_http(allow_http);
    if let Some(path) = &settings.ca_file {
        let pem = std::fs::read(path).map_err(|source| ConnectError::File { path: path.clone(), source })?;
        for certificate in Certificate::from_pem_bundle(&pem).map_err(ConnectError::Client)? {
            options = options.with_root_certificate(certificate);
        }
    }
    Ok(options)
}

/// Few and soon: whoever waits for an answer is better served by a 503 that says when to come back.
fn retries(settings: &Settings) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(1),
            base: 2.0,
        },
        max_retries: settings.max_retries as usize,
        // A request that used up its whole time is not sent again.
        retry_timeout: settings.request_timeout.as_duration() / 2,
    }
}
