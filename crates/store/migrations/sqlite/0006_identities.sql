-- Keys that sign access tokens. The private half is sealed with the master key.
CREATE TABLE signing_keys (
    id TEXT PRIMARY KEY,
    sealed_private BLOB NOT NULL,
    signs_from BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

-- Who a user is elsewhere: an issuer, and what it calls them.
CREATE TABLE identities (
    id BLOB PRIMARY KEY,
    user_id BLOB NOT NULL REFERENCES users (id),
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    -- As the issuer verified it.
    email TEXT,
    created_at BIGINT NOT NULL,
    UNIQUE (issuer, subject)
);
CREATE INDEX identities_by_user ON identities (user_id);
