-- The version before would set them aside.
DELETE FROM outbox WHERE kind <> 'request';
CREATE INDEX outbox_by_export ON outbox (export_id, id);
DROP INDEX outbox_by_export_and_kind;
DROP INDEX outbox_by_kind;
ALTER TABLE outbox DROP COLUMN kind;
COMMENT ON COLUMN outbox.headers IS 'Array of [name, value].';
