CREATE TABLE resumable_uploads (
    id           uuid        PRIMARY KEY,
    export_id    uuid        NOT NULL,
    resource_id  uuid        NOT NULL,
    length_bytes bigint      CHECK (length_bytes >= 0),
    offset_bytes bigint      NOT NULL DEFAULT 0 CHECK (offset_bytes >= 0),
    metadata     text,
    expires_at   timestamptz NOT NULL,
    attempt_id   uuid,
    finished     boolean     NOT NULL DEFAULT false,
    CHECK (offset_bytes <= length_bytes)
);
CREATE INDEX resumable_uploads_by_expiry ON resumable_uploads (expires_at);
CREATE INDEX resumable_uploads_by_export ON resumable_uploads (export_id);
COMMENT ON TABLE resumable_uploads IS
    'Uploads over several requests (tus). While one is not finished, a row of upload_attempts with its id says that '
    'its source is being answered; its pieces are in upload_pieces. No foreign key: it outlives its export.';
COMMENT ON COLUMN resumable_uploads.length_bytes IS 'Length of the identity bytes; NULL until the client knows it.';
COMMENT ON COLUMN resumable_uploads.offset_bytes IS 'How many of them are durable.';
COMMENT ON COLUMN resumable_uploads.metadata IS 'Upload-Metadata as the client sent it.';
COMMENT ON COLUMN resumable_uploads.attempt_id IS
    'The upload attempt that may add the next piece, which is being written while that row is there and leased.';
COMMENT ON COLUMN resumable_uploads.finished IS
    'Whether it has settled its source. The row stays until it expires, for clients that missed the answer.';

CREATE TABLE upload_pieces (
    upload_id    uuid    NOT NULL REFERENCES resumable_uploads (id),
    position     integer NOT NULL,
    object_key   text    NOT NULL,
    size_bytes   bigint  NOT NULL,
    stored_bytes bigint  NOT NULL,
    crc32        bigint  NOT NULL,
    sha256_state bytea   NOT NULL,
    PRIMARY KEY (upload_id, position)
);
COMMENT ON TABLE upload_pieces IS 'The durable pieces of uploads that are not finished, a gzip object each.';
COMMENT ON COLUMN upload_pieces.position IS 'Place among the pieces, from 0.';
COMMENT ON COLUMN upload_pieces.crc32 IS 'CRC-32 of the identity bytes of this piece alone.';
COMMENT ON COLUMN upload_pieces.sha256_state IS
    'What SHA-256 of all identity bytes goes on from behind this piece.';

CREATE TABLE resource_pieces (
    export_id    uuid    NOT NULL,
    resource_id  uuid    NOT NULL,
    position     integer NOT NULL CHECK (position > 0),
    object_key   text    NOT NULL,
    stored_bytes bigint  NOT NULL,
    PRIMARY KEY (export_id, resource_id, position),
    FOREIGN KEY (export_id, resource_id) REFERENCES resources (export_id, id) ON DELETE CASCADE
);
COMMENT ON TABLE resource_pieces IS
    'The objects of complete sources whose data lies in several, after the first, which resources names.';

ALTER TABLE resumable_uploads SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
ALTER TABLE upload_pieces SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
