ALTER TABLE upload_attempts RESET (fillfactor);
ALTER TABLE upload_attempts DROP COLUMN received_bytes;
COMMENT ON COLUMN exports.requester_identity IS
    'The x-rh-identity header of the request, for asking sources again; NULL once the export has ended.';
ALTER TABLE exports DROP COLUMN frozen_revision;
COMMENT ON COLUMN resources.deadline_at IS NULL;
COMMENT ON COLUMN resources.event_id IS 'Id of the event that asks for it; every copy of the event carries it.';
DROP INDEX resources_by_next_ask;
ALTER TABLE resources DROP COLUMN ask_again_at, DROP COLUMN tries_left, DROP COLUMN tries;
