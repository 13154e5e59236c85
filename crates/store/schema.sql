-- The schema that migrations/ make. Generated; see tests/store/schema.rs.

CREATE TABLE public.application_keys (
    id uuid NOT NULL,
    application text NOT NULL,
    sha256 bytea NOT NULL,
    in_file boolean NOT NULL,
    created_at timestamp with time zone NOT NULL,
    last_used_at timestamp with time zone,
    CONSTRAINT application_keys_sha256_check CHECK ((octet_length(sha256) = 32))
);

COMMENT ON COLUMN public.application_keys.in_file IS 'Whether the registry file lists it; then it is withdrawn by taking it out there.';

CREATE TABLE public.applications (
    name text NOT NULL,
    document json NOT NULL
);

COMMENT ON COLUMN public.applications.document IS 'Everything but the keys, as the registry file has it.';

CREATE TABLE public.export_count_deltas (
    owner_id bigint NOT NULL,
    delta bigint NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='5000');

COMMENT ON TABLE public.export_count_deltas IS 'Changes to owners.export_count. Adding a row never waits for another writer, as updating the owner would; count = owners.export_count + sum(delta), exact in every snapshot.';

CREATE TABLE public.exports (
    id uuid NOT NULL,
    owner_id bigint NOT NULL,
    name text NOT NULL,
    format text NOT NULL,
    status text DEFAULT 'pending'::text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    completed_at timestamp with time zone,
    requester_identity text,
    deleted_at timestamp with time zone,
    released_at timestamp with time zone,
    source_tags text[] NOT NULL,
    frozen_revision integer DEFAULT 0 NOT NULL,
    CONSTRAINT exports_check CHECK (((completed_at IS NOT NULL) = (status = ANY (ARRAY['partial'::text, 'complete'::text, 'failed'::text])))),
    CONSTRAINT exports_format_check CHECK ((format = ANY (ARRAY['json'::text, 'csv'::text]))),
    CONSTRAINT exports_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'running'::text, 'partial'::text, 'complete'::text, 'failed'::text])))
);

COMMENT ON TABLE public.exports IS 'What customers asked for.';

COMMENT ON COLUMN public.exports.owner_id IS 'owners.id. No foreign key: its check would lock the one row of a busy owner in every create.';

COMMENT ON COLUMN public.exports.requester_identity IS 'The x-rh-identity header of the request, or of the last retry, for asking sources again; NULL once the export has ended.';

COMMENT ON COLUMN public.exports.deleted_at IS 'Tombstone: from here on the export does not exist for anybody.';

COMMENT ON COLUMN public.exports.released_at IS 'When its objects were handed to object_deletions, after expiry or deletion.';

COMMENT ON COLUMN public.exports.source_tags IS 'The applications, resources and pairs of both of its sources, for listings: the two names with U+001F between them, one of them empty where it does not matter.';

COMMENT ON COLUMN public.exports.frozen_revision IS 'Revision of the manifest that was there when a source was retried: the next one counts on from it.';

CREATE TABLE public.installation (
    id uuid NOT NULL,
    is_only_row boolean DEFAULT true NOT NULL,
    CONSTRAINT installation_is_only_row_check CHECK (is_only_row)
);

COMMENT ON TABLE public.installation IS 'One row: the id that the object storage of this database is marked with, so that nothing is swept elsewhere.';

CREATE TABLE public.leases (
    name text NOT NULL,
    token uuid NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE public.leases IS 'Work that one process at a time does, such as the sweeps of object storage.';

CREATE TABLE public.manifests (
    export_id uuid NOT NULL,
    document text NOT NULL
);

COMMENT ON TABLE public.manifests IS 'The frozen archive of each ended export: what its bytes follow from. The latest revision only.';

CREATE TABLE public.object_deletions (
    object_key text NOT NULL,
    store_upload_id text,
    due_at timestamp with time zone NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    lease_token uuid
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='5000');

COMMENT ON TABLE public.object_deletions IS 'Objects to delete from object storage.';

COMMENT ON COLUMN public.object_deletions.due_at IS 'Not before this; moved into the future by a lease or a failed attempt.';

CREATE TABLE public.outbox (
    id bigint NOT NULL,
    export_id uuid NOT NULL,
    topic text NOT NULL,
    record_key text NOT NULL,
    headers json NOT NULL,
    payload bytea NOT NULL,
    created_at timestamp with time zone NOT NULL,
    due_at timestamp with time zone DEFAULT '1970-01-01 00:00:00+00'::timestamp with time zone NOT NULL,
    lease_token uuid,
    attempts integer DEFAULT 0 NOT NULL,
    last_error text,
    parked_at timestamp with time zone,
    kind text DEFAULT 'request'::text NOT NULL,
    CONSTRAINT outbox_kind_check CHECK ((kind = ANY (ARRAY['request'::text, 'lifecycle'::text, 'announcement'::text])))
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='5000', autovacuum_vacuum_insert_scale_factor='0.2', autovacuum_analyze_scale_factor='0', autovacuum_analyze_threshold='50000');

COMMENT ON TABLE public.outbox IS 'Records to send to Kafka, written in the transaction of the change they tell of, deleted when the broker has them.';

COMMENT ON COLUMN public.outbox.headers IS 'Array of [name, value]; null where the dispatcher makes the record: a version that does not know kinds sets such a row aside instead of sending its facts.';

COMMENT ON COLUMN public.outbox.due_at IS 'Not before this; moved into the future by a lease or a failed attempt. A new record is due at once, even for a dispatcher whose clock is behind that of the writer.';

COMMENT ON COLUMN public.outbox.parked_at IS 'When it was set aside after too many failures; a person looks at it.';

COMMENT ON COLUMN public.outbox.kind IS 'What it tells of. Each kind is leased and sent for itself, in its order, so that a topic that is missing holds up no other. The record of a request is stored as it is sent; of the other kinds `payload` holds the facts as JSON, the dispatcher makes the record, and `topic` is empty.';

ALTER TABLE public.outbox ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.outbox_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.owners (
    id bigint NOT NULL,
    org_id text NOT NULL,
    account text NOT NULL,
    username text NOT NULL,
    export_count bigint DEFAULT 0 NOT NULL
);

COMMENT ON TABLE public.owners IS 'Whoever has created an export. Rows are never deleted.';

COMMENT ON COLUMN public.owners.account IS 'Account number; empty where the organization has none.';

COMMENT ON COLUMN public.owners.export_count IS 'Listed exports, as of the last folding of export_count_deltas.';

ALTER TABLE public.owners ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.owners_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.registry (
    is_only_row boolean DEFAULT true NOT NULL,
    revision bigint NOT NULL,
    CONSTRAINT registry_is_only_row_check CHECK (is_only_row)
);

COMMENT ON COLUMN public.registry.revision IS 'Counts up with each change of applications and keys, so that services know when to read them again.';

CREATE TABLE public.resource_pieces (
    export_id uuid NOT NULL,
    resource_id uuid NOT NULL,
    "position" integer NOT NULL,
    object_key text NOT NULL,
    stored_bytes bigint NOT NULL,
    CONSTRAINT resource_pieces_position_check CHECK (("position" > 0))
);

COMMENT ON TABLE public.resource_pieces IS 'The objects of complete sources whose data lies in several, after the first, which resources names.';

CREATE TABLE public.resources (
    export_id uuid NOT NULL,
    id uuid NOT NULL,
    "position" integer NOT NULL,
    application text NOT NULL,
    resource text NOT NULL,
    filters json,
    expires_at timestamp with time zone NOT NULL,
    event_id uuid NOT NULL,
    requested_at timestamp with time zone NOT NULL,
    deadline_at timestamp with time zone NOT NULL,
    status text DEFAULT 'pending'::text NOT NULL,
    settled_at timestamp with time zone,
    error_code bigint,
    error_message text,
    object_key text,
    object_released_at timestamp with time zone,
    size_bytes bigint,
    stored_bytes bigint,
    crc32 bigint,
    sha256 bytea,
    tries integer DEFAULT 1 NOT NULL,
    tries_left integer DEFAULT 0 NOT NULL,
    ask_again_at timestamp with time zone,
    csv_formula_guard boolean DEFAULT false NOT NULL,
    csv_bom boolean DEFAULT false NOT NULL,
    uploaded_bytes bigint,
    uploaded_sha256 bytea,
    CONSTRAINT resources_check CHECK (((settled_at IS NULL) = (status = 'pending'::text))),
    CONSTRAINT resources_check1 CHECK (
CASE
    WHEN (status = 'complete'::text) THEN (num_nonnulls(object_key, size_bytes, stored_bytes, crc32, sha256) = 5)
    ELSE (num_nonnulls(object_key, size_bytes, stored_bytes, crc32, sha256) = 0)
END),
    CONSTRAINT resources_check2 CHECK ((num_nonnulls(error_code, error_message) =
CASE
    WHEN (status = 'failed'::text) THEN 2
    ELSE 0
END)),
    CONSTRAINT resources_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'complete'::text, 'failed'::text])))
);

COMMENT ON TABLE public.resources IS 'The sources of an export: one resource of one application each.';

COMMENT ON COLUMN public.resources."position" IS 'Place in the request, from 0.';

COMMENT ON COLUMN public.resources.filters IS 'As the customer gave them; json, not jsonb, which refuses NUL in texts.';

COMMENT ON COLUMN public.resources.event_id IS 'Id of the event that asked for it last; every copy of that event carries it.';

COMMENT ON COLUMN public.resources.requested_at IS 'Time of that event.';

COMMENT ON COLUMN public.resources.deadline_at IS 'When it fails unless it is answered, however often it was asked.';

COMMENT ON COLUMN public.resources.object_released_at IS 'When the object was handed to object_deletions.';

COMMENT ON COLUMN public.resources.size_bytes IS 'Length of the identity bytes.';

COMMENT ON COLUMN public.resources.stored_bytes IS 'Length of the gzip object.';

COMMENT ON COLUMN public.resources.crc32 IS 'CRC-32 of the identity bytes.';

COMMENT ON COLUMN public.resources.sha256 IS 'SHA-256 of the identity bytes.';

COMMENT ON COLUMN public.resources.tries IS 'How often it was asked, since its creation or the customer''s last retry.';

COMMENT ON COLUMN public.resources.tries_left IS 'How often it may be asked again before its deadline.';

COMMENT ON COLUMN public.resources.ask_again_at IS 'When it is asked again unless it is answered; NULL for never.';

COMMENT ON COLUMN public.resources.csv_formula_guard IS 'Whether cells that look like formulas are made harmless on the way in.';

COMMENT ON COLUMN public.resources.csv_bom IS 'Whether the stored bytes are to begin with a byte order mark.';

COMMENT ON COLUMN public.resources.uploaded_bytes IS 'Length of the uploaded bytes, where their CSV was changed on the way in.';

COMMENT ON COLUMN public.resources.uploaded_sha256 IS 'SHA-256 of those bytes: what a repeated upload is compared with.';

CREATE TABLE public.resumable_uploads (
    id uuid NOT NULL,
    export_id uuid NOT NULL,
    resource_id uuid NOT NULL,
    length_bytes bigint,
    offset_bytes bigint DEFAULT 0 NOT NULL,
    metadata text,
    expires_at timestamp with time zone NOT NULL,
    attempt_id uuid,
    finished boolean DEFAULT false NOT NULL,
    CONSTRAINT resumable_uploads_check CHECK ((offset_bytes <= length_bytes)),
    CONSTRAINT resumable_uploads_length_bytes_check CHECK ((length_bytes >= 0)),
    CONSTRAINT resumable_uploads_offset_bytes_check CHECK ((offset_bytes >= 0))
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='1000');

COMMENT ON TABLE public.resumable_uploads IS 'Uploads over several requests (tus). While one is not finished, a row of upload_attempts with its id says that its source is being answered; its pieces are in upload_pieces. No foreign key: it outlives its export.';

COMMENT ON COLUMN public.resumable_uploads.length_bytes IS 'Length of the identity bytes; NULL until the client knows it.';

COMMENT ON COLUMN public.resumable_uploads.offset_bytes IS 'How many of them are durable.';

COMMENT ON COLUMN public.resumable_uploads.metadata IS 'Upload-Metadata as the client sent it.';

COMMENT ON COLUMN public.resumable_uploads.attempt_id IS 'The upload attempt that may add the next piece, which is being written while that row is there and leased.';

COMMENT ON COLUMN public.resumable_uploads.finished IS 'Whether it has settled its source. The row stays until it expires, for clients that missed the answer.';

CREATE TABLE public.upload_attempts (
    id uuid NOT NULL,
    export_id uuid NOT NULL,
    resource_id uuid NOT NULL,
    object_key text NOT NULL,
    store_upload_id text,
    lease_expires_at timestamp with time zone NOT NULL,
    received_bytes bigint DEFAULT 0 NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='1000', fillfactor='70');

COMMENT ON TABLE public.upload_attempts IS 'Uploads under way, each written before its first byte is stored. Settling deletes the row and must find it; whatever is past its lease is removed by the expiry-reaper. No foreign key: it outlives its export.';

COMMENT ON COLUMN public.upload_attempts.store_upload_id IS 'The object store''s id of the multipart upload: without it a dropped one cannot be found again.';

COMMENT ON COLUMN public.upload_attempts.received_bytes IS 'Identity bytes so far, for the customer to see. Written once a second, in place: no index has it.';

CREATE TABLE public.upload_pieces (
    upload_id uuid NOT NULL,
    "position" integer NOT NULL,
    object_key text NOT NULL,
    size_bytes bigint NOT NULL,
    stored_bytes bigint NOT NULL,
    crc32 bigint NOT NULL,
    sha256_state bytea NOT NULL,
    uploaded_bytes bigint,
    uploaded_sha256_state bytea,
    csv_state bytea,
    CONSTRAINT upload_pieces_check CHECK ((num_nulls(uploaded_bytes, uploaded_sha256_state, csv_state) = ANY (ARRAY[0, 3]))),
    CONSTRAINT upload_pieces_uploaded_bytes_check CHECK ((uploaded_bytes >= 0))
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='1000');

COMMENT ON TABLE public.upload_pieces IS 'The durable pieces of uploads that are not finished, a gzip object each.';

COMMENT ON COLUMN public.upload_pieces."position" IS 'Place among the pieces, from 0.';

COMMENT ON COLUMN public.upload_pieces.size_bytes IS 'Length of its data as it is stored.';

COMMENT ON COLUMN public.upload_pieces.crc32 IS 'CRC-32 of the identity bytes of this piece alone.';

COMMENT ON COLUMN public.upload_pieces.sha256_state IS 'What SHA-256 of all identity bytes goes on from behind this piece.';

COMMENT ON COLUMN public.upload_pieces.uploaded_bytes IS 'How many bytes its client sent for it, where they were changed: NULL where they are the stored ones.';

COMMENT ON COLUMN public.upload_pieces.uploaded_sha256_state IS 'What SHA-256 of all bytes that the client sent goes on from behind this piece.';

COMMENT ON COLUMN public.upload_pieces.csv_state IS 'What changing the CSV goes on from behind this piece.';

ALTER TABLE ONLY public.application_keys
    ADD CONSTRAINT application_keys_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.application_keys
    ADD CONSTRAINT application_keys_sha256_key UNIQUE (sha256);

ALTER TABLE ONLY public.applications
    ADD CONSTRAINT applications_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.exports
    ADD CONSTRAINT exports_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.installation
    ADD CONSTRAINT installation_pkey PRIMARY KEY (is_only_row);

ALTER TABLE ONLY public.leases
    ADD CONSTRAINT leases_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.manifests
    ADD CONSTRAINT manifests_pkey PRIMARY KEY (export_id);

ALTER TABLE ONLY public.object_deletions
    ADD CONSTRAINT object_deletions_pkey PRIMARY KEY (object_key);

ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.owners
    ADD CONSTRAINT owners_org_id_account_username_key UNIQUE (org_id, account, username);

ALTER TABLE ONLY public.owners
    ADD CONSTRAINT owners_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.registry
    ADD CONSTRAINT registry_pkey PRIMARY KEY (is_only_row);

ALTER TABLE ONLY public.resource_pieces
    ADD CONSTRAINT resource_pieces_pkey PRIMARY KEY (export_id, resource_id, "position");

ALTER TABLE ONLY public.resources
    ADD CONSTRAINT resources_pkey PRIMARY KEY (export_id, id);

ALTER TABLE public.resources
    ADD CONSTRAINT resources_uploaded_check CHECK ((num_nonnulls(uploaded_bytes, uploaded_sha256) = ANY (ARRAY[0, 2]))) NOT VALID;

ALTER TABLE ONLY public.resumable_uploads
    ADD CONSTRAINT resumable_uploads_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.upload_attempts
    ADD CONSTRAINT upload_attempts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.upload_pieces
    ADD CONSTRAINT upload_pieces_pkey PRIMARY KEY (upload_id, "position");

CREATE INDEX application_keys_by_application ON public.application_keys USING btree (application);

CREATE INDEX export_count_deltas_by_owner ON public.export_count_deltas USING btree (owner_id);

CREATE INDEX exports_by_deletion ON public.exports USING btree (deleted_at) WHERE (deleted_at IS NOT NULL);

CREATE INDEX exports_by_expiry ON public.exports USING btree (expires_at) WHERE (released_at IS NULL);

CREATE INDEX exports_by_owner ON public.exports USING btree (owner_id, created_at, id) WHERE (deleted_at IS NULL);

CREATE INDEX exports_by_owner_and_expiry ON public.exports USING btree (owner_id, expires_at, id) WHERE (deleted_at IS NULL);

CREATE INDEX exports_by_owner_and_name ON public.exports USING btree (owner_id, name, id) WHERE (deleted_at IS NULL);

CREATE INDEX exports_by_owner_and_status ON public.exports USING btree (owner_id, status, created_at, id) WHERE (deleted_at IS NULL);

CREATE INDEX exports_by_release ON public.exports USING btree (released_at) WHERE ((released_at IS NOT NULL) AND (deleted_at IS NULL));

CREATE INDEX object_deletions_by_due ON public.object_deletions USING btree (due_at);

CREATE INDEX outbox_by_export_and_kind ON public.outbox USING btree (export_id, kind, id);

CREATE INDEX outbox_by_kind ON public.outbox USING btree (kind, id);

CREATE INDEX outbox_parked ON public.outbox USING btree (parked_at) WHERE (parked_at IS NOT NULL);

CREATE INDEX resources_by_deadline ON public.resources USING btree (deadline_at) WHERE (status = 'pending'::text);

CREATE INDEX resources_by_next_ask ON public.resources USING btree (ask_again_at) WHERE ((status = 'pending'::text) AND (ask_again_at IS NOT NULL));

CREATE INDEX resources_by_object_expiry ON public.resources USING btree (expires_at) WHERE ((status = 'complete'::text) AND (object_released_at IS NULL));

CREATE INDEX resumable_uploads_by_expiry ON public.resumable_uploads USING btree (expires_at);

CREATE INDEX resumable_uploads_by_export ON public.resumable_uploads USING btree (export_id);

CREATE INDEX upload_attempts_by_export ON public.upload_attempts USING btree (export_id);

CREATE INDEX upload_attempts_by_lease ON public.upload_attempts USING btree (lease_expires_at);

ALTER TABLE ONLY public.application_keys
    ADD CONSTRAINT application_keys_application_fkey FOREIGN KEY (application) REFERENCES public.applications(name) ON DELETE CASCADE;

ALTER TABLE ONLY public.manifests
    ADD CONSTRAINT manifests_export_id_fkey FOREIGN KEY (export_id) REFERENCES public.exports(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.resource_pieces
    ADD CONSTRAINT resource_pieces_export_id_resource_id_fkey FOREIGN KEY (export_id, resource_id) REFERENCES public.resources(export_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY public.resources
    ADD CONSTRAINT resources_export_id_fkey FOREIGN KEY (export_id) REFERENCES public.exports(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.upload_pieces
    ADD CONSTRAINT upload_pieces_upload_id_fkey FOREIGN KEY (upload_id) REFERENCES public.resumable_uploads(id);
