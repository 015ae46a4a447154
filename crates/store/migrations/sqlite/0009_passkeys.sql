-- Public halves of passkeys. The private halves are in authenticators and nowhere else.
CREATE TABLE passkeys (
    id BLOB PRIMARY KEY,
    user_id BLOB NOT NULL REFERENCES users (id),
    -- What the authenticator calls it.
    credential_id BLOB NOT NULL UNIQUE,
    -- As a COSE key.
    public_key BLOB NOT NULL,
    -- The domain that it was made for: it is of use there and nowhere else.
    relying_party TEXT NOT NULL,
    name TEXT NOT NULL,
    -- How a browser reaches it, as a JSON array.
    transports TEXT NOT NULL,
    -- 0: the authenticator does not count.
    sign_count BIGINT NOT NULL,
    backup_eligible BIGINT NOT NULL,
    backed_up BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT
);
CREATE INDEX passkeys_by_user ON passkeys (user_id);

-- What an authenticator is to sign, once. Only hashes are kept.
CREATE TABLE passkey_challenges (
    hash BLOB PRIMARY KEY,
    purpose TEXT NOT NULL,
    -- None: whoever has a passkey.
    user_id BLOB REFERENCES users (id),
    -- Of the network that asked for it, where it is known and nobody is signed in.
    network BLOB,
    expires_at BIGINT NOT NULL
);
CREATE INDEX passkey_challenges_by_end ON passkey_challenges (expires_at);
CREATE INDEX passkey_challenges_by_user ON passkey_challenges (user_id, expires_at);
CREATE INDEX passkey_challenges_by_network ON passkey_challenges (network, expires_at);
