//! All services in one process on the embedded default.
