//! The tables as diesel sees them, in the form that `diesel print-schema` writes (see `diesel.toml`).

/// The tables, all in schema `dim`.
#[expect(missing_docs, reason = "the migrations describe the columns")]
pub mod dim {
    diesel::table! {
        dim.access_requests (id) {
            id -> Int8,
            email -> Text,
            name -> Nullable<Text>,
            tid -> Nullable<Text>,
            oid -> Nullable<Text>,
            asked_at -> Int8,
            state -> Text,
            decided_by -> Nullable<Text>,
            decided_at -> Nullable<Int8>,
            answer -> Nullable<Text>,
        }
    }

    diesel::table! {
        dim.audit (id) {
            id -> Int8,
            at -> Int8,
            actor -> Text,
            action -> Text,
            subject -> Text,
            outcome -> Text,
            bytes -> Nullable<Int8>,
            reference -> Nullable<Text>,
            address -> Nullable<Text>,
            detail -> Text,
        }
    }

    diesel::table! {
        dim.audit_anchor (seq) {
            seq -> Int8,
            hash -> Text,
        }
    }

    diesel::table! {
        dim.audit_daily (fact, day, name) {
            fact -> Text,
            day -> Int8,
            name -> Text,
            events -> Int8,
            bytes -> Int8,
        }
    }

    diesel::table! {
        dim.audit_seals (seq) {
            seq -> Int8,
            id -> Int8,
            hash -> Text,
        }
    }

    diesel::table! {
        dim.audit_unsealed (id) {
            id -> Int8,
        }
    }

    diesel::table! {
        dim.bindings (email) {
            email -> Text,
            tid -> Text,
            oid -> Text,
            bound_at -> Int8,
        }
    }

    diesel::table! {
        dim.grants (email) {
            email -> Text,
            role -> Text,
            ends_at -> Nullable<Int8>,
            note -> Nullable<Text>,
            granted_by -> Text,
            granted_at -> Int8,
        }
    }

    diesel::table! {
        dim.folder_people (folder, email) {
            folder -> Text,
            email -> Text,
        }
    }

    diesel::table! {
        dim.folder_rules (folder) {
            folder -> Text,
            role -> Text,
            set_by -> Text,
            set_at -> Int8,
        }
    }

    diesel::table! {
        dim.folders (id) {
            id -> Int8,
            path -> Text,
            parent -> Nullable<Text>,
            name -> Text,
            sort_key -> Text,
            words -> Text,
            modified_at -> Int8,
            target -> Nullable<Text>,
            read_at -> Nullable<Int8>,
            entries -> Int8,
        }
    }

    diesel::table! {
        dim.identities (tid, oid) {
            tid -> Text,
            oid -> Text,
            email -> Text,
            name -> Nullable<Text>,
            first_sign_in_at -> Int8,
            last_sign_in_at -> Int8,
        }
    }

    diesel::table! {
        dim.index_state (id) {
            id -> Int8,
            root -> Nullable<Text>,
            scanned_at -> Nullable<Int8>,
            warning -> Nullable<Text>,
        }
    }

    diesel::table! {
        dim.items (id) {
            id -> Int8,
            path -> Text,
            title -> Nullable<Text>,
            owner -> Nullable<Text>,
            size -> Int8,
            modified_at -> Int8,
            sha256 -> Nullable<Text>,
            published_at -> Nullable<Int8>,
            folder -> Text,
            name -> Text,
            sort_key -> Text,
            words -> Text,
            real_folder -> Nullable<Text>,
            crc32 -> Nullable<Int8>,
            downloads -> Int8,
            missing_since -> Int8,
        }
    }

    diesel::table! {
        dim.moves_begun (id) {
            id -> Text,
            source -> Text,
            target -> Text,
            inode -> Text,
            begun_at -> Int8,
            aside -> Nullable<Text>,
            done_at -> Int8,
        }
    }

    diesel::table! {
        dim.sessions (id) {
            id -> Text,
            email -> Text,
            name -> Nullable<Text>,
            tid -> Text,
            oid -> Text,
            sid -> Nullable<Text>,
            logout_hint -> Nullable<Text>,
            started_at -> Int8,
            ended_at -> Nullable<Int8>,
            address -> Nullable<Text>,
            agent -> Nullable<Text>,
        }
    }

    diesel::table! {
        dim.stored_begun (id) {
            id -> Text,
            path -> Text,
            change -> Text,
            begun_at -> Int8,
            busy_until -> Int8,
        }
    }

    diesel::table! {
        dim.trash (id) {
            id -> Int8,
            place -> Text,
            origin -> Text,
            kind -> Text,
            files -> Int8,
            size -> Int8,
            inode -> Text,
            deleted_by -> Text,
            deleted_at -> Int8,
            removed_at -> Int8,
        }
    }

    diesel::table! {
        dim.uploads (id) {
            id -> Text,
            email -> Text,
            tid -> Nullable<Text>,
            oid -> Nullable<Text>,
            metadata -> Text,
            size -> Int8,
            received -> Int8,
            expires_at -> Int8,
            lease -> Text,
            leased_until -> Int8,
            path -> Nullable<Text>,
        }
    }

    diesel::table! {
        dim.user_roles (email) {
            email -> Text,
            role -> Text,
        }
    }

    diesel::table! {
        dim.webhook_messages (id) {
            id -> Int8,
            body -> Text,
            written_at -> Int8,
            attempts -> Int8,
            due_at -> Int8,
        }
    }

    diesel::allow_tables_to_appear_in_same_query!(
        access_requests,
        audit,
        audit_anchor,
        audit_daily,
        audit_seals,
        audit_unsealed,
        bindings,
        folder_people,
        folder_rules,
        folders,
        grants,
        identities,
        index_state,
        items,
        moves_begun,
        sessions,
        stored_begun,
        trash,
        uploads,
        user_roles,
        webhook_messages,
    );
}
