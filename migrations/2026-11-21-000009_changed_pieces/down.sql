ALTER TABLE upload_pieces
    DROP COLUMN uploaded_bytes,
    DROP COLUMN uploaded_sha256_state,
    DROP COLUMN csv_state;
COMMENT ON COLUMN upload_pieces.size_bytes IS NULL;
