//! Real servers as child processes: PostgreSQL, Apache Kafka, an S3 server.
