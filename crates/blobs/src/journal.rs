//! Where an upload notes what must be tidied up if it never ends.

use std::future::Future;

/// Why a note could not be written.
pub type JournalError = Box<dyn std::error::Error + Send + Sync>;

/// Keeps what is needed to remove an upload whose process died. The parts of an unfinished upload take
/// space in the store but no listing shows them: without its upload id nobody finds them.
pub trait UploadJournal {
    /// Notes that the store gave the id `upload_id` to the upload, durably, before its first part is sent.
    /// Called at most once for an upload, and not at all for small ones, for local files and on Azure, which
    /// have no such id. An error ends the upload.
    fn multipart_started(&self, upload_id: &str) -> impl Future<Output = Result<(), JournalError>> + Send;
}

/// Notes nothing: for tools and tests, where nobody would come back to tidy up.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoJournal;

impl UploadJournal for NoJournal {
    async fn multipart_started(&self, _upload_id: &str) -> Result<(), JournalError> {
        Ok(())
    }
}
