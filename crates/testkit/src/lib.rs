//! Test databases, topics, buckets, and a fault proxy.
