ALTER TABLE upload_pieces
    ADD COLUMN uploaded_bytes        bigint CHECK (uploaded_bytes >= 0),
    ADD COLUMN uploaded_sha256_state bytea,
    ADD COLUMN csv_state             bytea,
    ADD CHECK (num_nulls(uploaded_bytes, uploaded_sha256_state, csv_state) IN (0, 3));
COMMENT ON COLUMN upload_pieces.size_bytes IS 'Length of its data as it is stored.';
COMMENT ON COLUMN upload_pieces.uploaded_bytes IS
    'How many bytes its client sent for it, where they were changed: NULL where they are the stored ones.';
COMMENT ON COLUMN upload_pieces.uploaded_sha256_state IS
    'What SHA-256 of all bytes that the client sent goes on from behind this piece.';
COMMENT ON COLUMN upload_pieces.csv_state IS 'What changing the CSV goes on from behind this piece.';
