-- What a listing does (crates/store/src/list.rs): the caller with the exact count, then the page.
SELECT id, export_count + (SELECT coalesce(sum(delta), 0)::bigint FROM export_count_deltas WHERE owner_id = owners.id)
FROM owners WHERE org_id = :org_id::text AND account = :account::text AND username = :username::text;
SELECT id, name, format, status, created_at, expires_at, completed_at
FROM exports WHERE owner_id = :owner_id::bigint AND deleted_at IS NULL
ORDER BY created_at, id LIMIT 50::bigint OFFSET 0::bigint;
