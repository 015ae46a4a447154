-- Programs that ask to be let in, until a person has decided and they have fetched their token. Nobody's before
-- that: the org is whose member approved. Codes are kept as SHA-256.
CREATE TABLE device_requests (
    device_hash bytea PRIMARY KEY,
    user_hash bytea NOT NULL UNIQUE,
    name text COLLATE "C" NOT NULL,
    -- Where it asked from, and the network that counts as one asker.
    address text COLLATE "C" NOT NULL,
    network text COLLATE "C" NOT NULL,
    -- JSON, a list of scopes that it asks for; absent: it does not say.
    wanted text COLLATE "C",
    state text COLLATE "C" NOT NULL,
    org_id uuid REFERENCES orgs (id),
    user_id uuid REFERENCES users (id),
    scopes text COLLATE "C",
    token_expires_at bigint,
    interval_seconds bigint NOT NULL,
    polled_at bigint,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL
);
CREATE INDEX device_requests_by_age ON device_requests (expires_at);

-- Codes that somebody entered and nobody has.
CREATE TABLE device_guesses (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL,
    at bigint NOT NULL
);

-- Each is the token that was made for it, and ends with it.
CREATE TABLE devices (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES orgs (id),
    token_id uuid NOT NULL UNIQUE REFERENCES tokens (id) ON DELETE CASCADE,
    address text COLLATE "C" NOT NULL
);
CREATE INDEX devices_by_org ON devices (org_id, id);
