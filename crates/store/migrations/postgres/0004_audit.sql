-- Who did what in an org. Each entry's hash covers the one before it; its mac and the head's seal need a key that is
-- kept sealed by the master key. What the bytes are is told in the store's module `audit`.
CREATE TABLE audit (
    org_id uuid NOT NULL,
    sequence bigint NOT NULL,
    at bigint NOT NULL,
    actor_kind text COLLATE "C" NOT NULL,
    actor_id text COLLATE "C" NOT NULL,
    actor_name text COLLATE "C" NOT NULL,
    via text COLLATE "C" NOT NULL,
    address text COLLATE "C" NOT NULL,
    request text COLLATE "C" NOT NULL,
    rule text COLLATE "C" NOT NULL,
    action text COLLATE "C" NOT NULL,
    target_kind text COLLATE "C" NOT NULL,
    target text COLLATE "C" NOT NULL,
    target_name text COLLATE "C" NOT NULL,
    result text COLLATE "C" NOT NULL,
    repeats bigint NOT NULL,
    -- JSON, texts by name.
    details text COLLATE "C" NOT NULL,
    previous bytea NOT NULL,
    hash bytea NOT NULL,
    mac bytea NOT NULL,
    PRIMARY KEY (org_id, sequence)
);

-- Where each org's chain ends, and where it begins since older entries were removed.
CREATE TABLE audit_heads (
    org_id uuid PRIMARY KEY,
    sealed_key bytea NOT NULL,
    sequence bigint NOT NULL,
    hash bytea NOT NULL,
    seal bytea NOT NULL,
    removed bigint NOT NULL,
    removed_hash bytea NOT NULL,
    removed_seal bytea NOT NULL
);
