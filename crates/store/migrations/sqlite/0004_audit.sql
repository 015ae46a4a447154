-- Who did what in an org. Each entry's hash covers the one before it; its mac and the head's seal need a key that is
-- kept sealed by the master key. What the bytes are is told in the store's module `audit`.
CREATE TABLE audit (
    org_id BLOB NOT NULL,
    sequence BIGINT NOT NULL,
    at BIGINT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id TEXT NOT NULL,
    actor_name TEXT NOT NULL,
    via TEXT NOT NULL,
    address TEXT NOT NULL,
    request TEXT NOT NULL,
    rule TEXT NOT NULL,
    action TEXT NOT NULL,
    target_kind TEXT NOT NULL,
    target TEXT NOT NULL,
    target_name TEXT NOT NULL,
    result TEXT NOT NULL,
    repeats BIGINT NOT NULL,
    -- JSON, texts by name.
    details TEXT NOT NULL,
    previous BLOB NOT NULL,
    hash BLOB NOT NULL,
    mac BLOB NOT NULL,
    PRIMARY KEY (org_id, sequence)
);

-- Where each org's chain ends, and where it begins since older entries were removed.
CREATE TABLE audit_heads (
    org_id BLOB PRIMARY KEY,
    sealed_key BLOB NOT NULL,
    sequence BIGINT NOT NULL,
    hash BLOB NOT NULL,
    seal BLOB NOT NULL,
    removed BIGINT NOT NULL,
    removed_hash BLOB NOT NULL,
    removed_seal BLOB NOT NULL
);
