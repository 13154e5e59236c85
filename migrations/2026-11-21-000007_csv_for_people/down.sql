ALTER TABLE resources
    DROP CONSTRAINT resources_uploaded_check,
    DROP COLUMN csv_formula_guard,
    DROP COLUMN csv_bom,
    DROP COLUMN uploaded_bytes,
    DROP COLUMN uploaded_sha256;
