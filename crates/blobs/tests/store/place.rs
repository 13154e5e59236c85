//! A store of a test's own: a folder, or a prefix in the bucket of the shared S3 server.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use archive::zip::Segment;
use blobs::{
    Blobs, JournalError, Kind, LocalSettings, NoJournal, ObjectKey, S3Settings, Settings, StorageError,
    StoredObject, UploadJournal, object_key,
};
use bytes::Bytes;
use domain::ids::{AttemptId, ExportId};
use futures_util::TryStreamExt;
use object_store::{
    aws::{AmazonS3, AmazonS3Builder},
    multipart::MultipartStore,
    path::Path,
};
use tempfile::TempDir;
use testkit::TestBucket;

use crate::sample::{NO_LIMIT, body};

/// How long something that happens soon is waited for.
const SOON: Duration = Duration::from_secs(10);

/// A store with nothing in it, reached by nobody else.
pub(crate) struct Place {
    pub(crate) blobs: Blobs,
    pub(crate) settings: Settings,
    folder: Option<TempDir>,
}

/// An object that was put, and the segments of it.
pub(crate) struct Object(StoredObject);

impl Object {
    pub(crate) fn stored_bytes(&self) -> u64 {
        self.0.stored_bytes
    }

    pub(crate) fn key(&self) -> ObjectKey {
        self.0.key.clone()
    }

    pub(crate) fn segment(&self, range: std::ops::Range<u64>) -> Segment {
        Segment::Object { key: (&self.0.key).into(), range }
    }
}

pub(crate) fn new_key() -> ObjectKey {
    object_key(ExportId::random(), AttemptId::random())
}

impl Place {
    pub(crate) fn local() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let local = LocalSettings { directory: folder.path().to_owned() };
        let settings = Settings { kind: Kind::Local, local, prefix: "test".into(), ..Settings::default() };
        Self { blobs: Blobs::connect(&settings).unwrap(), settings, folder: Some(folder) }
    }

    pub(crate) fn s3() -> Self {
        Self::of(s3_settings())
    }

    /// The store of these settings.
    pub(crate) fn of(settings: Settings) -> Self {
        Self { blobs: Blobs::connect(&settings).unwrap(), settings, folder: None }
    }

    /// The same store, reached with other settings.
    pub(crate) fn with_changed(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self.blobs = Blobs::connect(&self.settings).unwrap();
        self
    }

    /// Whether this kind of store gives an upload an id.
    pub(crate) fn has_upload_ids(&self) -> bool {
        self.settings.kind == Kind::S3
    }

    pub(crate) async fn put(&self, data: &Bytes) -> Object {
        let key = new_key();
        Object(self.blobs.put_gzip(&key, body(data, 65_536), NO_LIMIT, &NoJournal).await.unwrap())
    }

    pub(crate) async fn read(&self, segments: Vec<Segment>) -> Result<Vec<u8>, StorageError> {
        let expected: u64 = segments.iter().map(Segment::len_bytes).sum();
        let read: Vec<Bytes> = self.blobs.open(segments).await?.try_collect().await?;
        let read = read.concat();
        assert_eq!(read.len() as u64, expected, "a short body ended cleanly");
        Ok(read)
    }

    pub(crate) async fn read_whole(&self, stored: &StoredObject) -> Vec<u8> {
        let range = 0..stored.stored_bytes;
        self.read(vec![Segment::Object { key: (&stored.key).into(), range }]).await.unwrap()
    }

    /// Key and size of all that is stored, by key.
    pub(crate) async fn stored(&self) -> Vec<(String, u64)> {
        let listed: Vec<_> = self.blobs.list().try_collect().await.unwrap();
        let mut stored: Vec<_> =
            listed.into_iter().map(|object| (object.key.to_string(), object.size_bytes)).collect();
        stored.sort();
        stored
    }

    /// Waits until neither the object nor parts of its upload nor its file are there.
    pub(crate) async fn assert_nothing_left(&self, key: &ObjectKey, journal: &Journal) {
        let deadline = Instant::now() + SOON;
        loop {
            let object = self.blobs.size_of(key).await.unwrap();
            let files = self.files();
            let parts = self.open_uploads(key, journal).await;
            if object.is_none() && files.is_empty() && parts.is_empty() {
                break;
            }
            assert!(Instant::now() < deadline, "left: {object:?} {files:?} {parts:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(self.stored().await, []);
    }

    /// Files of any name, for a local store.
    pub(crate) fn files(&self) -> Vec<std::path::PathBuf> {
        fn visit(folder: &std::path::Path, files: &mut Vec<std::path::PathBuf>) {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.path().is_dir() {
                    visit(&entry.path(), files);
                } else {
                    files.push(entry.path());
                }
            }
        }
        let mut files = Vec::new();
        self.folder.iter().for_each(|folder| visit(folder.path(), &mut files));
        files
    }

    /// The noted uploads that still take parts.
    async fn open_uploads(&self, key: &ObjectKey, journal: &Journal) -> Vec<String> {
        let mut open = Vec::new();
        for id in journal.upload_ids() {
            let path = Path::from(format!("{}/{key}", self.settings.prefix));
            if raw_s3(&self.settings).put_part(&path, &id, 9_999, "late".into()).await.is_ok() {
                open.push(id);
            }
        }
        open
    }
}

impl Drop for Place {
    /// The shared server keeps nothing of a test that has ended.
    fn drop(&mut self) {
        if self.folder.is_none() {
            let settings = Settings { prefix: self.settings.prefix.clone(), ..s3_settings() };
            let emptying = std::thread::spawn(move || empty(&settings));
            // A test that failed says why by itself.
            let _ = emptying.join();
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn empty(settings: &Settings) {
    let blobs = Blobs::connect(settings).unwrap();
    let delete = |object: blobs::ListedObject| {
        let blobs = &blobs;
        async move { blobs.delete(&object.key).await }
    };
    blobs.list().try_for_each_concurrent(8, delete).await.unwrap();
}

/// Remembers the upload ids.
#[derive(Debug, Default)]
pub(crate) struct Journal(Mutex<Vec<String>>);

impl Journal {
    pub(crate) fn upload_ids(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl UploadJournal for Journal {
    async fn multipart_started(&self, upload_id: &str) -> Result<(), JournalError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(upload_id.to_owned());
        Ok(())
    }
}

/// A prefix of its own in the bucket of the shared S3 server.
pub(crate) fn s3_settings() -> Settings {
    let TestBucket { connection: server, prefix } = TestBucket::new("blobs").unwrap();
    let s3 = S3Settings {
        bucket: server.bucket,
        region: Some(server.region),
        endpoint: Some(server.endpoint),
        access_key_id: Some(server.access_key_id),
        secret_access_key: Some(server.secret_access_key.into()),
        allow_http: true,
        ..S3Settings::default()
    };
    Settings { kind: Kind::S3, s3, prefix, ..Settings::default() }
}

/// The store without our code in between.
pub(crate) fn raw_s3(settings: &Settings) -> AmazonS3 {
    let s3 = &settings.s3;
    AmazonS3Builder::new()
        .with_bucket_name(&s3.bucket)
        .with_region(s3.region.as_deref().unwrap())
        .with_endpoint(s3.endpoint.as_deref().unwrap())
        .with_access_key_id(s3.access_key_id.as_deref().unwrap())
        .with_secret_access_key(s3.secret_access_key.as_ref().unwrap().expose())
        .with_allow_http(true)
        .build()
        .unwrap()
}
