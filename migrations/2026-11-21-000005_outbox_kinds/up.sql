ALTER TABLE outbox ADD COLUMN kind text NOT NULL DEFAULT 'request'
    CHECK (kind IN ('request', 'lifecycle', 'announcement'));
CREATE INDEX outbox_by_kind ON outbox (kind, id);
CREATE INDEX outbox_by_export_and_kind ON outbox (export_id, kind, id);
DROP INDEX outbox_by_export;
COMMENT ON COLUMN outbox.kind IS
    'What it tells of. Each kind is leased and sent for itself, in its order, so that a topic that is missing holds up '
    'no other. The record of a request is stored as it is sent; of the other kinds `payload` holds the facts as JSON, '
    'the dispatcher makes the record, and `topic` is empty.';
COMMENT ON COLUMN outbox.headers IS
    'Array of [name, value]; null where the dispatcher makes the record: a version that does not know kinds sets such a '
    'row aside instead of sending its facts.';
