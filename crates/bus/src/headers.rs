//! The headers of a record as strangers wrote them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rdkafka::{
    Message as _,
    message::{BorrowedMessage, Header, Headers as _},
};

/// Names and values.
pub(crate) type OwnHeaders = Vec<(String, Option<Vec<u8>>)>;

/// All headers, in their order; None when they cannot be read.
pub(crate) fn of(message: &BorrowedMessage<'_>) -> Option<OwnHeaders> {
    let own = |header: Header<'_, &[u8]>| (header.key.to_owned(), header.value.map(<[u8]>::to_vec));
    read(message, |headers| headers.map(own).collect())
}

/// Whether one of the headers is `name` with `value`; None when they cannot be read.
pub(crate) fn hold(message: &BorrowedMessage<'_>, name: &str, value: &[u8]) -> Option<bool> {
    let is_it = |header: Header<'_, &[u8]>| header.key == name && header.value == Some(value);
    // All are looked at: a record that is wanted can be read as a whole.
    read(message, |headers| headers.fold(false, |found, header| is_it(header) | found))
}

/// The library panics at a header whose name is not UTF-8.
fn read<T: Default>(
    message: &BorrowedMessage<'_>,
    read: impl FnOnce(&mut dyn Iterator<Item = Header<'_, &[u8]>>) -> T,
) -> Option<T> {
    let Some(headers) = message.headers() else { return Some(T::default()) };
    catch_unwind(AssertUnwindSafe(|| read(&mut headers.iter()))).ok()
}
