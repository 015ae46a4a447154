-- Certificates that Creel gets for the names under which it and its agents are reached.
CREATE TABLE certificates (
    host text COLLATE "C" PRIMARY KEY,
    -- Whose agent it is for. Absent: Creel's own name.
    owner uuid,
    -- The chain and its key in PEM, sealed. Absent: there is none yet.
    sealed bytea,
    key_version bigint NOT NULL,
    issued_at bigint,
    not_after bigint,
    -- When it is to be got, or got anew.
    next_at bigint NOT NULL,
    -- Until then somebody is at it.
    leased_until bigint,
    ordered_at bigint,
    failures bigint NOT NULL,
    -- In words, why the last attempt came to nothing.
    problem text COLLATE "C" NOT NULL,
    -- What the authority is to find.
    challenge_token text COLLATE "C",
    challenge_authorization text COLLATE "C",
    created_at bigint NOT NULL
);
CREATE INDEX certificates_due ON certificates (next_at, host);
CREATE INDEX certificates_of_owner ON certificates (owner);

-- Who we are at an authority.
CREATE TABLE acme_accounts (
    directory text COLLATE "C" PRIMARY KEY,
    sealed bytea NOT NULL,
    key_version bigint NOT NULL,
    created_at bigint NOT NULL
);
