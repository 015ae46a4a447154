-- Who else may say who people are. The platform's: whoever comes belongs to no org yet.
CREATE TABLE sso_providers (
    id BLOB PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    -- What its button says.
    label TEXT NOT NULL,
    kind TEXT NOT NULL,
    -- One provider an issuer: what it calls somebody means the same person.
    issuer TEXT NOT NULL UNIQUE,
    client_id TEXT NOT NULL,
    -- Sealed with the master key; absent: we are a public client.
    sealed_client_secret BLOB,
    newcomers TEXT NOT NULL,
    -- JSON, a list; empty: all.
    email_domains TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

-- Sign-ins that are under way at a provider. What makes one worth anything is in the browser that began it.
CREATE TABLE sso_attempts (
    hash BLOB PRIMARY KEY,
    provider_id BLOB NOT NULL REFERENCES sso_providers (id) ON DELETE CASCADE,
    -- Of what the browser was given.
    browser_hash BLOB NOT NULL,
    -- The network that counts as one asker; empty: not known.
    network TEXT NOT NULL,
    invitation_hash BLOB,
    return_to TEXT NOT NULL,
    -- Who wants to link an identity, and the session that asked; absent: somebody signs in.
    user_id BLOB REFERENCES users (id),
    session_id BLOB,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sso_attempts_by_age ON sso_attempts (expires_at);
CREATE INDEX sso_attempts_by_network ON sso_attempts (network);
