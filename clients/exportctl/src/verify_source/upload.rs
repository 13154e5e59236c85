//! A resumable upload (S0-tus): how far it is, and what may be added to it.

use std::{fs::File, sync::Arc};

use super::receive::MAX_BYTES;

/// One upload, by tus 1.0.0.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    /// What has arrived. What lies behind the offset does not count.
    pub(crate) file: Arc<File>,
    /// How many bytes count.
    pub(crate) offset_bytes: u64,
    /// How many there will be, as its beginning said.
    told_bytes: Option<u64>,
    /// The same, as a later request said.
    told_later_bytes: Option<u64>,
    /// `Upload-Metadata`, given back as it came.
    pub(crate) metadata: Option<String>,
    /// The attempt that the next request goes on with; None when the last one failed.
    pub(crate) attempt: Option<usize>,
    /// Whether a request is adding to it.
    pub(crate) busy: bool,
    /// Whether all of it has arrived and was taken.
    pub(crate) finished: bool,
}

/// Why a request for an upload is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The answer.
    pub(crate) status: u16,
    /// What was wrong with the request; None for what happens to any client.
    pub(crate) misuse: Option<&'static str>,
}

impl Refusal {
    /// What happens to any client.
    pub(crate) fn of(status: u16) -> Self {
        Self { status, misuse: None }
    }

    /// What a client of the protocol does not do.
    pub(crate) fn misuse(status: u16, what: &'static str) -> Self {
        Self { status, misuse: Some(what) }
    }
}

impl Upload {
    /// Nothing of it has arrived; `told_bytes` will, if that is known.
    ///
    /// # Errors
    /// 413.
    pub(crate) fn begin(
        file: File,
        told_bytes: Option<u64>,
        metadata: Option<String>,
    ) -> Result<Self, Refusal> {
        if told_bytes.is_some_and(|length| length > MAX_BYTES) {
            return Err(Refusal::of(413));
        }
        Ok(Self {
            file: Arc::new(file),
            offset_bytes: 0,
            told_bytes,
            told_later_bytes: None,
            metadata,
            attempt: None,
            busy: false,
            finished: false,
        })
    }

    /// Whether a request may go on at `offset_bytes`, by which there will be `length_bytes` if it says so. False
    /// when there is nothing to add any more.
    ///
    /// # Errors
    /// 400, 409, 413, 423.
    pub(crate) fn go_on(&mut self, offset_bytes: u64, length_bytes: Option<u64>) -> Result<bool, Refusal> {
        if self.busy {
            return Err(Refusal::of(423));
        }
        if offset_bytes != self.offset_bytes {
            return Err(Refusal::of(409));
        }
        if self.finished {
            return Ok(false);
        }
        if length_bytes.is_some_and(|length| length > MAX_BYTES) {
            return Err(Refusal::of(413));
        }
        let known = self.length_bytes().or(length_bytes);
        if length_bytes.is_some() && length_bytes != known
            || known.is_some_and(|length| length < offset_bytes)
        {
            return Err(Refusal::misuse(
                400,
                "Upload-Length is not what it was, or less than what has arrived",
            ));
        }
        self.told_later_bytes = known;
        self.busy = true;
        Ok(true)
    }

    /// How many bytes there will be; None while nobody has said it.
    pub(crate) fn length_bytes(&self) -> Option<u64> {
        self.told_bytes.or(self.told_later_bytes)
    }

    /// What a client that asks is told of the length: a later word counts once everything has arrived.
    pub(crate) fn shown_length_bytes(&self) -> Option<u64> {
        self.told_bytes.or(self.told_later_bytes.filter(|_| self.finished))
    }

    /// Whether everything has arrived.
    pub(crate) fn is_whole(&self) -> bool {
        self.length_bytes() == Some(self.offset_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upload(told_bytes: Option<u64>) -> Upload {
        Upload::begin(tempfile::tempfile().unwrap(), told_bytes, None).unwrap()
    }

    #[test]
    fn an_upload_goes_on_where_it_stands_by_one_request_at_a_time() {
        let mut upload = upload(Some(4));
        upload.offset_bytes = 2;
        assert_eq!(upload.go_on(0, None), Err(Refusal::of(409)));
        assert_eq!(upload.go_on(2, None), Ok(true));
        assert_eq!(upload.go_on(2, None), Err(Refusal::of(423)));
        (upload.busy, upload.offset_bytes, upload.finished) = (false, 4, true);
        assert!(upload.is_whole());
        assert_eq!(upload.go_on(4, Some(4)), Ok(false));
    }

    #[test]
    fn a_length_is_said_once_and_shown_at_the_end_when_it_came_later() {
        let mut upload = upload(None);
        assert_eq!(upload.go_on(0, Some(3)), Ok(true));
        upload.busy = false;
        assert_eq!(upload.shown_length_bytes(), None);
        assert_eq!(upload.go_on(0, Some(4)).unwrap_err().status, 400);
        upload.offset_bytes = 3;
        assert!(upload.is_whole());
        upload.finished = true;
        assert_eq!(upload.shown_length_bytes(), Some(3));
        assert!(Upload::begin(tempfile::tempfile().unwrap(), Some(MAX_BYTES + 1), None).is_err());
    }
}
