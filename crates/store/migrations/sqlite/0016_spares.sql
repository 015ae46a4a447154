-- Sandboxes made ahead of need. One that an agent gets is no row here any more.
CREATE TABLE spares (
    sandbox_id BLOB PRIMARY KEY,
    runtime TEXT NOT NULL,
    limits TEXT NOT NULL,
    state TEXT NOT NULL,
    depth TEXT NOT NULL,
    generation BIGINT NOT NULL,
    made_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
);
