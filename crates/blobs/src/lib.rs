//! Object storage: a stream in becomes a gzip object, segments become a stream out.
//!
//! Everything is done by [`Blobs`]: [`Blobs::put_gzip`] compresses what arrives, on the way, and stores it in
//! constant memory; [`Blobs::open`] streams the bytes of segments that `archive` laid out, reading ahead. The
//! rest is housekeeping. [`UrlSigner`] signs URLs by which others fetch single objects. The stores are Amazon S3 and its likes, Azure Blob Storage, Google Cloud Storage
//! and local files, all by way of the `object_store` crate, which is named in this crate only.
//!
//! What can be relied on:
//! - an object is written once and whole, or not at all; its size was verified when `put_gzip` returns;
//! - a stream that ends without an error has given every byte;
//! - memory does not grow with the size of objects: 22 MiB for an upload, [`Settings::upload_memory`] for
//!   all of them, and less than 4 MiB for a download;
//! - compressing and hashing are done on threads that serve nobody, waiting for the store has an end.

mod backend;
mod blobs;
mod compress;
mod connect;
mod error;
mod gather;
mod hash;
mod journal;
mod key;
mod mark;
mod memory;
mod object_read;
mod open;
mod part_upload;
mod parts;
mod put;
mod settings;
mod sign;
mod sweep;
mod unfinished;

pub use blobs::{Blobs, ListedObject, StoredObject};
pub use connect::ConnectError;
pub use error::{PutError, StorageError};
pub use hash::{HashState, InvalidHashState};
pub use journal::{JournalError, NoJournal, UploadJournal};
pub use key::{InvalidKey, ObjectKey, object_key};
pub use open::SegmentStream;
pub use settings::{AzureSettings, GcsSettings, Kind, LocalSettings, S3Settings, Settings};
pub use sign::{LONGEST_VALIDITY, UrlSigner};
