//! The tables, as `migrations/` makes them.

diesel::table! {
    owners (id) {
        id -> BigInt,
        org_id -> Text,
        account -> Text,
        username -> Text,
        export_count -> BigInt,
    }
}

diesel::table! {
    // It has no key; diesel wants one named.
    export_count_deltas (owner_id) {
        owner_id -> BigInt,
        delta -> BigInt,
    }
}

diesel::table! {
    exports (id) {
        id -> Uuid,
        owner_id -> BigInt,
        name -> Text,
        format -> Text,
        status -> Text,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
        completed_at -> Nullable<Timestamptz>,
        requester_identity -> Nullable<Text>,
        deleted_at -> Nullable<Timestamptz>,
        released_at -> Nullable<Timestamptz>,
        source_tags -> Array<Text>,
        frozen_revision -> Integer,
    }
}

diesel::table! {
    resources (export_id, id) {
        export_id -> Uuid,
        id -> Uuid,
        position -> Integer,
        application -> Text,
        resource -> Text,
        filters -> Nullable<Json>,
        csv_formula_guard -> Bool,
        csv_bom -> Bool,
        expires_at -> Timestamptz,
        event_id -> Uuid,
        requested_at -> Timestamptz,
        deadline_at -> Timestamptz,
        status -> Text,
        settled_at -> Nullable<Timestamptz>,
        error_code -> Nullable<BigInt>,
        error_message -> Nullable<Text>,
        object_key -> Nullable<Text>,
        object_released_at -> Nullable<Timestamptz>,
        size_bytes -> Nullable<BigInt>,
        stored_bytes -> Nullable<BigInt>,
        crc32 -> Nullable<BigInt>,
        sha256 -> Nullable<Binary>,
        tries -> Integer,
        tries_left -> Integer,
        ask_again_at -> Nullable<Timestamptz>,
        uploaded_bytes -> Nullable<BigInt>,
        uploaded_sha256 -> Nullable<Binary>,
    }
}

diesel::table! {
    manifests (export_id) {
        export_id -> Uuid,
        document -> Text,
    }
}

diesel::table! {
    upload_attempts (id) {
        id -> Uuid,
        export_id -> Uuid,
        resource_id -> Uuid,
        object_key -> Text,
        store_upload_id -> Nullable<Text>,
        lease_expires_at -> Timestamptz,
        received_bytes -> BigInt,
    }
}

diesel::table! {
    resumable_uploads (id) {
        id -> Uuid,
        export_id -> Uuid,
        resource_id -> Uuid,
        length_bytes -> Nullable<BigInt>,
        offset_bytes -> BigInt,
        metadata -> Nullable<Text>,
        expires_at -> Timestamptz,
        attempt_id -> Nullable<Uuid>,
        finished -> Bool,
    }
}

diesel::table! {
    upload_pieces (upload_id, position) {
        upload_id -> Uuid,
        position -> Integer,
        object_key -> Text,
        size_bytes -> BigInt,
        stored_bytes -> BigInt,
        crc32 -> BigInt,
        sha256_state -> Binary,
        uploaded_bytes -> Nullable<BigInt>,
        uploaded_sha256_state -> Nullable<Binary>,
        csv_state -> Nullable<Binary>,
    }
}

diesel::table! {
    resource_pieces (export_id, resource_id, position) {
        export_id -> Uuid,
        resource_id -> Uuid,
        position -> Integer,
        object_key -> Text,
        stored_bytes -> BigInt,
    }
}

diesel::table! {
    object_deletions (object_key) {
        object_key -> Text,
        store_upload_id -> Nullable<Text>,
        due_at -> Timestamptz,
        attempts -> Integer,
        lease_token -> Nullable<Uuid>,
    }
}

diesel::table! {
    outbox (id) {
        id -> BigInt,
        export_id -> Uuid,
        topic -> Text,
        record_key -> Text,
        headers -> Json,
        payload -> Binary,
        created_at -> Timestamptz,
        due_at -> Timestamptz,
        lease_token -> Nullable<Uuid>,
        attempts -> Integer,
        last_error -> Nullable<Text>,
        parked_at -> Nullable<Timestamptz>,
        kind -> Text,
    }
}

diesel::table! {
    leases (name) {
        name -> Text,
        token -> Uuid,
        expires_at -> Timestamptz,
    }
}

diesel::table! {
    installation (is_only_row) {
        id -> Uuid,
        is_only_row -> Bool,
    }
}

diesel::table! {
    registry (is_only_row) {
        is_only_row -> Bool,
        revision -> BigInt,
    }
}

diesel::table! {
    applications (name) {
        name -> Text,
        document -> Json,
    }
}

diesel::table! {
    application_keys (id) {
        id -> Uuid,
        application -> Text,
        sha256 -> Binary,
        in_file -> Bool,
        created_at -> Timestamptz,
        last_used_at -> Nullable<Timestamptz>,
    }
}

diesel::joinable!(exports -> owners (owner_id));
diesel::joinable!(resources -> exports (export_id));
diesel::joinable!(manifests -> exports (export_id));
diesel::allow_tables_to_appear_in_same_query!(exports, owners, resources, resource_pieces, manifests);
