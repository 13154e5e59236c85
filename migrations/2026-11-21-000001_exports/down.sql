DROP TABLE outbox;
DROP TABLE object_deletions;
DROP TABLE upload_attempts;
DROP TABLE manifests;
DROP TABLE resources;
DROP TABLE exports;
DROP TABLE export_count_deltas;
DROP TABLE owners;
