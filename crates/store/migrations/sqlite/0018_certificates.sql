-- Certificates that Creel gets for the names under which it and its agents are reached.
CREATE TABLE certificates (
    host TEXT PRIMARY KEY,
    -- Whose agent it is for. Absent: Creel's own name.
    owner BLOB,
    -- The chain and its key in PEM, sealed. Absent: there is none yet.
    sealed BLOB,
    key_version BIGINT NOT NULL,
    issued_at BIGINT,
    not_after BIGINT,
    -- When it is to be got, or got anew.
    next_at BIGINT NOT NULL,
    -- Until then somebody is at it.
    leased_until BIGINT,
    ordered_at BIGINT,
    failures BIGINT NOT NULL,
    -- In words, why the last attempt came to nothing.
    problem TEXT NOT NULL,
    -- What the authority is to find.
    challenge_token TEXT,
    challenge_authorization TEXT,
    created_at BIGINT NOT NULL
);
CREATE INDEX certificates_due ON certificates (next_at, host);
CREATE INDEX certificates_of_owner ON certificates (owner);

-- Who we are at an authority.
CREATE TABLE acme_accounts (
    directory TEXT PRIMARY KEY,
    sealed BLOB NOT NULL,
    key_version BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
