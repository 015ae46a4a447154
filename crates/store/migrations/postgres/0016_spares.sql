-- Sandboxes made ahead of need. One that an agent gets is no row here any more.
CREATE TABLE spares (
    sandbox_id uuid PRIMARY KEY,
    runtime text COLLATE "C" NOT NULL,
    limits text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL,
    depth text COLLATE "C" NOT NULL,
    generation bigint NOT NULL,
    made_by text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    changed_at bigint NOT NULL
);
