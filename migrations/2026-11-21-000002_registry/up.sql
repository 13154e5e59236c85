CREATE TABLE registry (
    is_only_row boolean PRIMARY KEY DEFAULT true CHECK (is_only_row),
    revision    bigint  NOT NULL
);
INSERT INTO registry (revision) VALUES (0);
COMMENT ON COLUMN registry.revision IS
    'Counts up with each change of applications and keys, so that services know when to read them again.';

CREATE TABLE applications (
    name     text PRIMARY KEY,
    document json NOT NULL
);
COMMENT ON COLUMN applications.document IS 'Everything but the keys, as the registry file has it.';

CREATE TABLE application_keys (
    id           uuid        PRIMARY KEY,
    application  text        NOT NULL REFERENCES applications ON DELETE CASCADE,
    sha256       bytea       NOT NULL UNIQUE CHECK (octet_length(sha256) = 32),
    in_file      boolean     NOT NULL,
    created_at   timestamptz NOT NULL,
    last_used_at timestamptz
);
CREATE INDEX application_keys_by_application ON application_keys (application);
COMMENT ON COLUMN application_keys.in_file IS
    'Whether the registry file lists it; then it is withdrawn by taking it out there.';
