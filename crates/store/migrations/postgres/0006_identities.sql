-- Keys that sign access tokens. The private half is sealed with the master key.
CREATE TABLE signing_keys (
    id text COLLATE "C" PRIMARY KEY,
    sealed_private bytea NOT NULL,
    signs_from bigint NOT NULL,
    created_at bigint NOT NULL
);

-- Who a user is elsewhere: an issuer, and what it calls them.
CREATE TABLE identities (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users (id),
    issuer text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    -- As the issuer verified it.
    email text COLLATE "C",
    created_at bigint NOT NULL,
    UNIQUE (issuer, subject)
);
CREATE INDEX identities_by_user ON identities (user_id);
