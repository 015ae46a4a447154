-- Public halves of passkeys. The private halves are in authenticators and nowhere else.
CREATE TABLE passkeys (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users (id),
    -- What the authenticator calls it.
    credential_id bytea NOT NULL UNIQUE,
    -- As a COSE key.
    public_key bytea NOT NULL,
    -- The domain that it was made for: it is of use there and nowhere else.
    relying_party text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    -- How a browser reaches it, as a JSON array.
    transports text COLLATE "C" NOT NULL,
    -- 0: the authenticator does not count.
    sign_count bigint NOT NULL,
    backup_eligible bigint NOT NULL,
    backed_up bigint NOT NULL,
    created_at bigint NOT NULL,
    last_used_at bigint
);
CREATE INDEX passkeys_by_user ON passkeys (user_id);

-- What an authenticator is to sign, once. Only hashes are kept.
CREATE TABLE passkey_challenges (
    hash bytea PRIMARY KEY,
    purpose text COLLATE "C" NOT NULL,
    -- None: whoever has a passkey.
    user_id uuid REFERENCES users (id),
    -- Of the network that asked for it, where it is known and nobody is signed in.
    network bytea,
    expires_at bigint NOT NULL
);
CREATE INDEX passkey_challenges_by_end ON passkey_challenges (expires_at);
CREATE INDEX passkey_challenges_by_user ON passkey_challenges (user_id, expires_at);
CREATE INDEX passkey_challenges_by_network ON passkey_challenges (network, expires_at);
