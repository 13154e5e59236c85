ALTER TABLE resources
    ADD COLUMN tries        integer     NOT NULL DEFAULT 1,
    ADD COLUMN tries_left   integer     NOT NULL DEFAULT 0,
    ADD COLUMN ask_again_at timestamptz;
CREATE INDEX resources_by_next_ask ON resources (ask_again_at) WHERE status = 'pending' AND ask_again_at IS NOT NULL;
COMMENT ON COLUMN resources.event_id IS
    'Id of the event that asked for it last; every copy of that event carries it.';
COMMENT ON COLUMN resources.deadline_at IS 'When it fails unless it is answered, however often it was asked.';
COMMENT ON COLUMN resources.tries IS 'How often it was asked, since its creation or the customer''s last retry.';
COMMENT ON COLUMN resources.tries_left IS 'How often it may be asked again before its deadline.';
COMMENT ON COLUMN resources.ask_again_at IS 'When it is asked again unless it is answered; NULL for never.';

ALTER TABLE exports ADD COLUMN frozen_revision integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN exports.frozen_revision IS
    'Revision of the manifest that was there when a source was retried: the next one counts on from it.';
COMMENT ON COLUMN exports.requester_identity IS
    'The x-rh-identity header of the request, or of the last retry, for asking sources again; NULL once the export has ended.';

ALTER TABLE upload_attempts ADD COLUMN received_bytes bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN upload_attempts.received_bytes IS
    'Identity bytes so far, for the customer to see. Written once a second, in place: no index has it.';
-- Room on each page for the next version of a row.
ALTER TABLE upload_attempts SET (fillfactor = 70);
