//! Object storage: a stream in becomes a gzip object, segments become a stream out.
