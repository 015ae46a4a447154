-- Programs that ask to be let in, until a person has decided and they have fetched their token. Nobody's before
-- that: the org is whose member approved. Codes are kept as SHA-256.
CREATE TABLE device_requests (
    device_hash BLOB PRIMARY KEY,
    user_hash BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL,
    -- Where it asked from, and the network that counts as one asker.
    address TEXT NOT NULL,
    network TEXT NOT NULL,
    -- JSON, a list of scopes that it asks for; absent: it does not say.
    wanted TEXT,
    state TEXT NOT NULL,
    org_id BLOB REFERENCES orgs (id),
    user_id BLOB REFERENCES users (id),
    scopes TEXT,
    token_expires_at BIGINT,
    interval_seconds BIGINT NOT NULL,
    polled_at BIGINT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX device_requests_by_age ON device_requests (expires_at);

-- Codes that somebody entered and nobody has.
CREATE TABLE device_guesses (
    id BLOB PRIMARY KEY,
    user_id BLOB NOT NULL,
    at BIGINT NOT NULL
);

-- Each is the token that was made for it, and ends with it.
CREATE TABLE devices (
    id BLOB PRIMARY KEY,
    org_id BLOB NOT NULL REFERENCES orgs (id),
    token_id BLOB NOT NULL UNIQUE REFERENCES tokens (id) ON DELETE CASCADE,
    address TEXT NOT NULL
);
CREATE INDEX devices_by_org ON devices (org_id, id);
