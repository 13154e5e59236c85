//! Places where a test makes a process die or wait: between a commit and its effect.
//!
//! They are there only with the feature `failpoints`, which only the package `e2e` asks for, for its tests. In
//! any other build [`failpoint!`](crate::failpoint) is nothing and [`arm`] does nothing.

#[cfg(feature = "failpoints")]
#[doc(hidden)]
pub use fail;

/// What [`arm`] has armed, until it is dropped.
#[must_use]
pub struct Armed {
    #[cfg(feature = "failpoints")]
    _scenario: fail::FailScenario<'static>,
}

/// Arms the failpoints that the environment variable `FAILPOINTS` names. `one=return;other=2*off->return` lets
/// the process die, as by `kill -9`, when it comes to `one`, or for the third time to `other`; the crate `fail`
/// knows further actions, such as `sleep(500)`.
///
/// # Panics
/// When the variable cannot be read as that.
pub fn arm() -> Armed {
    Armed {
        #[cfg(feature = "failpoints")]
        _scenario: fail::FailScenario::setup(),
    }
}

/// A place, in a function that returns something, where a test lets the process die: see
/// [`failpoints`](mod@crate::failpoints).
#[cfg(feature = "failpoints")]
#[macro_export]
macro_rules! failpoint {
    ($name:literal) => {
        // Without destructors, buffers or goodbyes: all that others see is what was done before.
        $crate::failpoints::fail::fail_point!($name, |_| ::std::process::abort())
    };
}

/// A place, in a function that returns something, where a test lets the process die: see
/// [`failpoints`](mod@crate::failpoints).
#[cfg(not(feature = "failpoints"))]
#[macro_export]
macro_rules! failpoint {
    ($name:literal) => {};
}
