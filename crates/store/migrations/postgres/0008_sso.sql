-- Who else may say who people are. The platform's: whoever comes belongs to no org yet.
CREATE TABLE sso_providers (
    id uuid PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE,
    -- What its button says.
    label text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    -- One provider an issuer: what it calls somebody means the same person.
    issuer text COLLATE "C" NOT NULL UNIQUE,
    client_id text COLLATE "C" NOT NULL,
    -- Sealed with the master key; absent: we are a public client.
    sealed_client_secret bytea,
    newcomers text COLLATE "C" NOT NULL,
    -- JSON, a list; empty: all.
    email_domains text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL
);

-- Sign-ins that are under way at a provider. What makes one worth anything is in the browser that began it.
CREATE TABLE sso_attempts (
    hash bytea PRIMARY KEY,
    provider_id uuid NOT NULL REFERENCES sso_providers (id) ON DELETE CASCADE,
    -- Of what the browser was given.
    browser_hash bytea NOT NULL,
    -- The network that counts as one asker; empty: not known.
    network text COLLATE "C" NOT NULL,
    invitation_hash bytea,
    return_to text COLLATE "C" NOT NULL,
    -- Who wants to link an identity, and the session that asked; absent: somebody signs in.
    user_id uuid REFERENCES users (id),
    session_id uuid,
    expires_at bigint NOT NULL
);
CREATE INDEX sso_attempts_by_age ON sso_attempts (expires_at);
CREATE INDEX sso_attempts_by_network ON sso_attempts (network);
