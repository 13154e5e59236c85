-- What a status request does (crates/store/src/find.rs), for an export of bench/fill.py.
\set export random(1, :exports)
SELECT e.id, e.name, e.format, e.status, e.created_at, e.expires_at, e.completed_at,
       r.id, r.position, r.application, r.resource, r.filters, r.expires_at, r.status, r.error_code,
       r.error_message, r.object_key, r.size_bytes, r.stored_bytes, r.crc32, r.sha256
FROM exports e
JOIN owners o ON o.id = e.owner_id
JOIN resources r ON r.export_id = e.id
WHERE e.id = md5('export-' || :export::text)::uuid AND e.deleted_at IS NULL
  AND o.org_id = :org_id::text AND o.account = :account::text
  AND o.username = 'lister-' || (:export::int % :owners::int + 1);
