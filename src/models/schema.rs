// The tables and views for Diesel.

diesel::table! {
    heap (id) {
        id -> BigInt,
        max_file -> Nullable<BigInt>,
    }
}

diesel::table! {
    memram (id) {
        id -> BigInt,
        name -> Text,
        max_mem -> BigInt,
        mem -> BigInt,
        promised -> BigInt,
        reserved -> BigInt,
        arena_size -> BigInt,
        per_block -> BigInt,
        arenas -> BigInt,
        peak_mem -> BigInt,
        allocations -> BigInt,
        frees -> BigInt,
        dedup_hits -> BigInt,
        dedup_saved -> BigInt,
        created_at -> BigInt,
        history -> Text,
        history_keep -> Nullable<BigInt>,
        history_max_bytes -> Nullable<BigInt>,
        history_bytes -> BigInt,
        dropped_at -> Nullable<BigInt>,
        tags -> BigInt,
        quotas -> BigInt,
        evict -> Nullable<Text>,
        evict_min_age -> BigInt,
        evictions -> BigInt,
        evicted_mem -> BigInt,
        evict_hand -> BigInt,
        evict_main -> BigInt,
        evict_gone -> BigInt,
    }
}

diesel::table! {
    dropped_spaces (id) {
        id -> BigInt,
        name -> Text,
        max_mem -> BigInt,
        mem -> BigInt,
        objects -> BigInt,
        names -> BigInt,
        reservations -> BigInt,
        history_bytes -> BigInt,
        created_at -> BigInt,
        dropped_at -> BigInt,
        gone_at -> Nullable<BigInt>,
        actor -> Nullable<Text>,
        reason -> Nullable<Text>,
    }
}

diesel::table! {
    size_classes (memram_id, block_size) {
        memram_id -> BigInt,
        block_size -> BigInt,
        pool_size -> BigInt,
        mem -> BigInt,
        reserved -> BigInt,
        pooled -> BigInt,
        pools -> BigInt,
        blocks -> BigInt,
        full_blocks -> BigInt,
        empty_blocks -> BigInt,
        entries -> BigInt,
    }
}

diesel::table! {
    other_kinds (memram_id, kind) {
        memram_id -> BigInt,
        kind -> Text,
        objects -> BigInt,
        mem -> BigInt,
    }
}

diesel::table! {
    arenas (id) {
        id -> BigInt,
        memram_id -> BigInt,
        max_mem -> BigInt,
        mem -> BigInt,
        reserved -> BigInt,
    }
}

diesel::table! {
    pools (id) {
        id -> BigInt,
        memram_id -> BigInt,
        arena_id -> BigInt,
        block_size -> BigInt,
        max_mem -> BigInt,
        mem -> BigInt,
        reserved -> BigInt,
    }
}

diesel::table! {
    blocks (id) {
        id -> BigInt,
        memram_id -> BigInt,
        arena_id -> BigInt,
        pool_id -> BigInt,
        block_size -> BigInt,
        max_mem -> BigInt,
        mem -> BigInt,
        is_free -> Bool,
    }
}

diesel::table! {
    stored_objects (id) {
        id -> BigInt,
        memram_id -> BigInt,
        object_id -> Text,
        kind -> Text,
        type_name -> Nullable<Text>,
        size -> BigInt,
        held -> Bool,
        created_at -> BigInt,
        held_until -> Nullable<BigInt>,
        expires_at -> Nullable<BigInt>,
        pinned -> Bool,
        held_refresh -> Nullable<BigInt>,
    }
}

diesel::table! {
    ledger (id) {
        id -> BigInt,
        stored_object_id -> BigInt,
        seq -> BigInt,
        arena_id -> BigInt,
        pool_id -> BigInt,
        block_id -> BigInt,
        allocated_mem -> BigInt,
        start -> BigInt,
        is_last -> Bool,
        data -> Binary,
    }
}

diesel::table! {
    reservations (id) {
        id -> BigInt,
        memram_id -> BigInt,
        key -> Nullable<Text>,
        state -> Text,
        bytes -> BigInt,
        written -> BigInt,
        object_id -> Nullable<Text>,
        stored_object_id -> Nullable<BigInt>,
        entry_ids -> BigInt,
        first_arena_id -> BigInt,
        first_pool_id -> BigInt,
        first_block_id -> BigInt,
        created_at -> BigInt,
        expires_at -> BigInt,
        resolved_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    names (memram_id, name) {
        memram_id -> BigInt,
        name -> Text,
        stored_object_id -> BigInt,
        bound_at -> BigInt,
        expires_at -> Nullable<BigInt>,
        refresh -> Nullable<BigInt>,
    }
}

diesel::table! {
    sequences (memram_id, name) {
        memram_id -> BigInt,
        name -> Text,
        last_id -> BigInt,
    }
}

diesel::table! {
    events (id) {
        id -> BigInt,
        memram_id -> BigInt,
        at -> BigInt,
        kind -> Text,
        actor -> Nullable<Text>,
        reason -> Nullable<Text>,
        object -> Nullable<Binary>,
        name -> Nullable<Text>,
        bytes -> BigInt,
        mem -> BigInt,
        payload -> BigInt,
        room_in_blocks -> BigInt,
        uncarved_in_pools -> BigInt,
        uncarved_in_arenas -> BigInt,
        unreserved -> BigInt,
        capacity -> BigInt,
        reservation_id -> Nullable<BigInt>,
        count -> BigInt,
        last_at -> Nullable<BigInt>,
        changes -> Nullable<Text>,
    }
}

diesel::table! {
    tags (stored_object_id, name, key) {
        memram_id -> BigInt,
        stored_object_id -> BigInt,
        name -> Text,
        key -> Text,
        value -> Text,
    }
}

diesel::table! {
    quotas (memram_id, key, value) {
        memram_id -> BigInt,
        key -> Text,
        value -> Text,
        hard_bytes -> Nullable<BigInt>,
        soft_bytes -> Nullable<BigInt>,
        hard_objects -> Nullable<BigInt>,
        soft_objects -> Nullable<BigInt>,
        used_bytes -> BigInt,
        used_objects -> BigInt,
    }
}

diesel::table! {
    recency (stored_object_id) {
        stored_object_id -> BigInt,
        memram_id -> BigInt,
        queue -> Text,
        position -> BigInt,
        marks -> BigInt,
        size -> BigInt,
        object_id -> Nullable<Text>,
    }
}

diesel::joinable!(blocks -> pools (pool_id));
diesel::joinable!(ledger -> blocks (block_id));
diesel::joinable!(ledger -> stored_objects (stored_object_id));
diesel::joinable!(names -> stored_objects (stored_object_id));
diesel::joinable!(pools -> arenas (arena_id));
diesel::allow_tables_to_appear_in_same_query!(
    heap,
    memram,
    size_classes,
    other_kinds,
    arenas,
    pools,
    blocks,
    stored_objects,
    ledger,
    reservations,
    names,
    tags,
    quotas,
    recency,
    sequences,
    events,
);

// Views.

diesel::table! {
    tagged (stored_object_id, name, key) {
        memram_id -> BigInt,
        space -> Text,
        key -> Text,
        value -> Text,
        stored_object_id -> BigInt,
        object_id -> Text,
        name -> Nullable<Text>,
        size -> BigInt,
        expires_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    kinds (memram_id, kind) {
        memram_id -> BigInt,
        kind -> Text,
        objects -> BigInt,
        mem -> BigInt,
    }
}

diesel::table! {
    every_event (id) {
        id -> BigInt,
        row_id -> BigInt,
        memram_id -> BigInt,
        at -> BigInt,
        kind -> Text,
        actor -> Nullable<Text>,
        reason -> Nullable<Text>,
        object -> Nullable<Binary>,
        name -> Nullable<Text>,
        bytes -> BigInt,
        mem -> BigInt,
        payload -> BigInt,
        room_in_blocks -> BigInt,
        uncarved_in_pools -> BigInt,
        uncarved_in_arenas -> BigInt,
        unreserved -> BigInt,
        capacity -> BigInt,
        reservation_id -> Nullable<BigInt>,
        count -> BigInt,
        last_at -> Nullable<BigInt>,
        changes -> Nullable<Text>,
    }
}

diesel::table! {
    event_sizes (id) {
        id -> BigInt,
        memram_id -> BigInt,
        at -> BigInt,
        kind -> Text,
        bytes -> BigInt,
    }
}

diesel::table! {
    objects (id) {
        id -> BigInt,
        object_id -> Text,
        space -> Text,
        names_json -> Text,
        kind -> Text,
        type_name -> Nullable<Text>,
        size -> BigInt,
        pieces -> BigInt,
        held -> Bool,
        created -> Text,
        expires_at -> Nullable<BigInt>,
        value -> Nullable<Text>,
    }
}

diesel::table! {
    trial_balance (space, line) {
        space -> Text,
        line -> BigInt,
        bucket -> Text,
        bytes -> BigInt,
    }
}

diesel::table! {
    claims (space, line) {
        space -> Text,
        line -> BigInt,
        bucket -> Text,
        bytes -> BigInt,
    }
}

diesel::table! {
    violations (invariant) {
        invariant -> Text,
        rule -> Text,
        #[sql_name = "table"]
        table_name -> Text,
        id -> Nullable<BigInt>,
        key -> Nullable<Text>,
        expected -> Text,
        found -> Text,
    }
}

diesel::allow_tables_to_appear_in_same_query!(objects, tagged);
