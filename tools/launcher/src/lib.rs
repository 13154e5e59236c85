//! Starts the platform on this machine and makes a first export.
