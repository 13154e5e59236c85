//! The behaviour of the object storage: the same on local files and on a real S3 server.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod faults;
mod housekeeping;
mod place;
mod put;
mod read;
mod runtimes;
mod sample;
mod sign;
mod unended;

/// One test for each kind of store.
macro_rules! on_every_store {
    ($($name:ident),* $(,)?) => {
        mod on_local_files {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name(crate::place::Place::local()).await;
                }
            )*
        }
        mod on_s3 {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name(crate::place::Place::s3()).await;
                }
            )*
        }
    };
}
pub(crate) use on_every_store;
