CREATE TABLE owners (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id         text   NOT NULL,
    account        text   NOT NULL,
    username       text   NOT NULL,
    export_count   bigint NOT NULL DEFAULT 0,
    UNIQUE (org_id, account, username)
);
COMMENT ON TABLE owners IS 'Whoever has created an export. Rows are never deleted.';
COMMENT ON COLUMN owners.account IS 'Account number; empty where the organization has none.';
COMMENT ON COLUMN owners.export_count IS 'Listed exports, as of the last folding of export_count_deltas.';

CREATE TABLE export_count_deltas (
    owner_id bigint  NOT NULL,
    delta    bigint  NOT NULL
);
CREATE INDEX export_count_deltas_by_owner ON export_count_deltas (owner_id);
COMMENT ON TABLE export_count_deltas IS
    'Changes to owners.export_count. Adding a row never waits for another writer, as updating the owner would; '
    'count = owners.export_count + sum(delta), exact in every snapshot.';

CREATE TABLE exports (
    id                 uuid        PRIMARY KEY,
    owner_id           bigint      NOT NULL,
    name               text        NOT NULL,
    format             text        NOT NULL CHECK (format IN ('json', 'csv')),
    status             text        NOT NULL DEFAULT 'pending'
                       CHECK (status IN ('pending', 'running', 'partial', 'complete', 'failed')),
    created_at         timestamptz NOT NULL,
    expires_at         timestamptz NOT NULL,
    completed_at       timestamptz,
    requester_identity text,
    deleted_at         timestamptz,
    released_at        timestamptz,
    source_tags        text[]      NOT NULL,
    CHECK ((completed_at IS NOT NULL) = (status IN ('partial', 'complete', 'failed')))
);
CREATE INDEX exports_by_owner ON exports (owner_id, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX exports_by_owner_and_status ON exports (owner_id, status, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX exports_by_owner_and_name ON exports (owner_id, name, id) WHERE deleted_at IS NULL;
CREATE INDEX exports_by_owner_and_expiry ON exports (owner_id, expires_at, id) WHERE deleted_at IS NULL;
CREATE INDEX exports_by_expiry ON exports (expires_at) WHERE released_at IS NULL;
CREATE INDEX exports_by_deletion ON exports (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX exports_by_release ON exports (released_at) WHERE released_at IS NOT NULL AND deleted_at IS NULL;
COMMENT ON TABLE exports IS 'What customers asked for.';
COMMENT ON COLUMN exports.owner_id IS
    'owners.id. No foreign key: its check would lock the one row of a busy owner in every create.';
COMMENT ON COLUMN exports.requester_identity IS
    'The x-rh-identity header of the request, for asking sources again; NULL once the export has ended.';
COMMENT ON COLUMN exports.deleted_at IS 'Tombstone: from here on the export does not exist for anybody.';
COMMENT ON COLUMN exports.released_at IS 'When its objects were handed to object_deletions, after expiry or deletion.';
COMMENT ON COLUMN exports.source_tags IS
    'The applications, resources and pairs of both of its sources, for listings: the two names with U+001F between '
    'them, one of them empty where it does not matter.';

CREATE TABLE resources (
    export_id          uuid        NOT NULL REFERENCES exports (id) ON DELETE CASCADE,
    id                 uuid        NOT NULL,
    position           integer     NOT NULL,
    application        text        NOT NULL,
    resource           text        NOT NULL,
    filters            json,
    expires_at         timestamptz NOT NULL,
    event_id           uuid        NOT NULL,
    requested_at       timestamptz NOT NULL,
    deadline_at        timestamptz NOT NULL,
    status             text        NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'complete', 'failed')),
    settled_at         timestamptz,
    error_code         bigint,
    error_message      text,
    object_key         text,
    object_released_at timestamptz,
    size_bytes         bigint,
    stored_bytes       bigint,
    crc32              bigint,
    sha256             bytea,
    PRIMARY KEY (export_id, id),
    CHECK ((settled_at IS NULL) = (status = 'pending')),
    CHECK (CASE WHEN status = 'complete'
                THEN num_nonnulls(object_key, size_bytes, stored_bytes, crc32, sha256) = 5
                ELSE num_nonnulls(object_key, size_bytes, stored_bytes, crc32, sha256) = 0 END),
    CHECK (num_nonnulls(error_code, error_message) = CASE WHEN status = 'failed' THEN 2 ELSE 0 END)
);
CREATE INDEX resources_by_deadline ON resources (deadline_at) WHERE status = 'pending';
CREATE INDEX resources_by_object_expiry ON resources (expires_at)
    WHERE status = 'complete' AND object_released_at IS NULL;
COMMENT ON TABLE resources IS 'The sources of an export: one resource of one application each.';
COMMENT ON COLUMN resources.position IS 'Place in the request, from 0.';
COMMENT ON COLUMN resources.filters IS 'As the customer gave them; json, not jsonb, which refuses NUL in texts.';
COMMENT ON COLUMN resources.event_id IS 'Id of the event that asks for it; every copy of the event carries it.';
COMMENT ON COLUMN resources.requested_at IS 'Time of that event.';
COMMENT ON COLUMN resources.size_bytes IS 'Length of the identity bytes.';
COMMENT ON COLUMN resources.stored_bytes IS 'Length of the gzip object.';
COMMENT ON COLUMN resources.crc32 IS 'CRC-32 of the identity bytes.';
COMMENT ON COLUMN resources.sha256 IS 'SHA-256 of the identity bytes.';
COMMENT ON COLUMN resources.object_released_at IS 'When the object was handed to object_deletions.';

CREATE TABLE manifests (
    export_id uuid        PRIMARY KEY REFERENCES exports (id) ON DELETE CASCADE,
    document  text        NOT NULL
);
COMMENT ON TABLE manifests IS 'The frozen archive of each ended export: what its bytes follow from. The latest revision only.';

CREATE TABLE upload_attempts (
    id               uuid        PRIMARY KEY,
    export_id        uuid        NOT NULL,
    resource_id      uuid        NOT NULL,
    object_key       text        NOT NULL,
    store_upload_id  text,
    lease_expires_at timestamptz NOT NULL
);
CREATE INDEX upload_attempts_by_lease ON upload_attempts (lease_expires_at);
CREATE INDEX upload_attempts_by_export ON upload_attempts (export_id);
COMMENT ON TABLE upload_attempts IS
    'Uploads under way, each written before its first byte is stored. Settling deletes the row and must find it; '
    'whatever is past its lease is removed by the expiry-reaper. No foreign key: it outlives its export.';
COMMENT ON COLUMN upload_attempts.store_upload_id IS
    'The object store''s id of the multipart upload: without it a dropped one cannot be found again.';

CREATE TABLE object_deletions (
    object_key       text        PRIMARY KEY,
    store_upload_id  text,
    due_at           timestamptz NOT NULL,
    attempts         integer     NOT NULL DEFAULT 0,
    lease_token      uuid
);
CREATE INDEX object_deletions_by_due ON object_deletions (due_at);
COMMENT ON TABLE object_deletions IS 'Objects to delete from object storage.';
COMMENT ON COLUMN object_deletions.due_at IS 'Not before this; moved into the future by a lease or a failed attempt.';

CREATE TABLE outbox (
    id               bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    export_id        uuid        NOT NULL,
    topic            text        NOT NULL,
    record_key       text        NOT NULL,
    headers          json        NOT NULL,
    payload          bytea       NOT NULL,
    created_at       timestamptz NOT NULL,
    due_at           timestamptz NOT NULL DEFAULT 'epoch',
    lease_token      uuid,
    attempts         integer     NOT NULL DEFAULT 0,
    last_error       text,
    parked_at        timestamptz
);
CREATE INDEX outbox_by_export ON outbox (export_id, id);
CREATE INDEX outbox_parked ON outbox (parked_at) WHERE parked_at IS NOT NULL;
COMMENT ON TABLE outbox IS
    'Records to send to Kafka, written in the transaction of the change they tell of, deleted when the broker has them.';
COMMENT ON COLUMN outbox.due_at IS
    'Not before this; moved into the future by a lease or a failed attempt. A new record is due at once, even for a '
    'dispatcher whose clock is behind that of the writer.';
COMMENT ON COLUMN outbox.parked_at IS 'When it was set aside after too many failures; a person looks at it.';
COMMENT ON COLUMN outbox.headers IS 'Array of [name, value].';

CREATE TABLE leases (
    name       text        PRIMARY KEY,
    token      uuid        NOT NULL,
    expires_at timestamptz NOT NULL
);
COMMENT ON TABLE leases IS 'Work that one process at a time does, such as the sweeps of object storage.';

CREATE TABLE installation (
    id          uuid    NOT NULL,
    is_only_row boolean PRIMARY KEY DEFAULT true CHECK (is_only_row)
);
INSERT INTO installation (id) VALUES (gen_random_uuid());
COMMENT ON TABLE installation IS
    'One row: the id that the object storage of this database is marked with, so that nothing is swept elsewhere.';

-- Rows come and go in seconds: vacuum by count, not by share, so that scans stay short.
ALTER TABLE outbox SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
                        autovacuum_vacuum_insert_scale_factor = 0.2, autovacuum_analyze_scale_factor = 0,
                        autovacuum_analyze_threshold = 50000);
ALTER TABLE export_count_deltas SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
ALTER TABLE upload_attempts SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
ALTER TABLE object_deletions SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
