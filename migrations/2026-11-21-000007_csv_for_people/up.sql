-- What is done to the CSV of a source, and what was uploaded where that is not what is stored.
-- Constant defaults and a check that looks at new rows only: no row is read or written, however many there are.
ALTER TABLE resources
    ADD COLUMN csv_formula_guard boolean NOT NULL DEFAULT false,
    ADD COLUMN csv_bom           boolean NOT NULL DEFAULT false,
    ADD COLUMN uploaded_bytes    bigint,
    ADD COLUMN uploaded_sha256   bytea,
    ADD CONSTRAINT resources_uploaded_check
        CHECK (num_nonnulls(uploaded_bytes, uploaded_sha256) IN (0, 2)) NOT VALID;
COMMENT ON COLUMN resources.csv_formula_guard IS 'Whether cells that look like formulas are made harmless on the way in.';
COMMENT ON COLUMN resources.csv_bom IS 'Whether the stored bytes are to begin with a byte order mark.';
COMMENT ON COLUMN resources.uploaded_bytes IS 'Length of the uploaded bytes, where their CSV was changed on the way in.';
COMMENT ON COLUMN resources.uploaded_sha256 IS 'SHA-256 of those bytes: what a repeated upload is compared with.';
