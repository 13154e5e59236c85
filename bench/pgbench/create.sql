-- What creating an export does (crates/store/src/create.rs), with two sources.
\set caller random(1, :callers)
WITH owner AS (
    SELECT id FROM owners
    WHERE org_id = :org_id::text AND account = :account::text AND username = 'creator-' || :caller::text),
export AS (
    INSERT INTO exports (owner_id, id, name, format, created_at, expires_at, requester_identity, source_tags)
    SELECT owner.id, gen_random_uuid(), :name::text, 'json', now(), now() + interval '7 days', :identity::text,
           ARRAY[E'\x1fanotherExampleResource', E'\x1fexampleResource', :application::text || E'\x1f',
                 :application::text || E'\x1fanotherExampleResource', :application::text || E'\x1fexampleResource']
    FROM owner RETURNING id, owner_id, created_at),
counted AS (
    INSERT INTO export_count_deltas (owner_id, delta) SELECT owner_id, 1 FROM export),
asked AS (
    INSERT INTO resources (export_id, id, position, application, resource, filters, expires_at, event_id,
                           requested_at, deadline_at, tries_left, ask_again_at)
    SELECT export.id, source.id, source.place - 1, source.application, source.resource, source.filters,
           source.expires_at, source.event_id, export.created_at, now() + interval '1 day',
           2, now() + interval '1 day' / 7
    FROM export, unnest(
        ARRAY[gen_random_uuid(), gen_random_uuid()], ARRAY[:application::text, :application::text],
        ARRAY['exampleResource', 'anotherExampleResource'], ARRAY[:filters::json, NULL],
        ARRAY[now() + interval '7 days', now() + interval '7 days'], ARRAY[gen_random_uuid(), gen_random_uuid()])
        WITH ORDINALITY AS source (id, application, resource, filters, expires_at, event_id, place)),
queued AS (
    INSERT INTO outbox (export_id, kind, topic, record_key, headers, payload, created_at)
    SELECT export.id, record.kind, record.topic, record.key, record.headers, record.payload, export.created_at
    FROM export, unnest(
        ARRAY['request', 'request', 'lifecycle'], ARRAY[:topic::text, :topic::text, ''],
        ARRAY[export.id::text, export.id::text, export.id::text],
        ARRAY[:headers::json, :headers::json, 'null'::json], ARRAY[:payload::bytea, :payload::bytea, :payload::bytea])
        WITH ORDINALITY AS record (kind, topic, key, headers, payload, place)
    ORDER BY record.place)
SELECT owner_id FROM export;
