-- How people sign in. None of it belongs to an org: a person may be a member of several.

-- Normalised; at most one a person.
CREATE TABLE emails (
    address TEXT PRIMARY KEY,
    user_id BLOB NOT NULL UNIQUE REFERENCES users (id),
    -- When its owner showed a code that was mailed to it.
    verified_at BIGINT,
    created_at BIGINT NOT NULL
);

-- Argon2id, with what it was made with.
CREATE TABLE passwords (
    user_id BLOB PRIMARY KEY REFERENCES users (id),
    hash BLOB NOT NULL,
    salt BLOB NOT NULL,
    memory_kib BIGINT NOT NULL,
    passes BIGINT NOT NULL,
    lanes BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
);

-- The second factor: a secret sealed with the master key, and the last step of time whose code was used.
CREATE TABLE totps (
    user_id BLOB PRIMARY KEY REFERENCES users (id),
    sealed BLOB NOT NULL,
    last_step BIGINT NOT NULL DEFAULT 0,
    confirmed_at BIGINT,
    created_at BIGINT NOT NULL
);

CREATE TABLE recovery_codes (
    user_id BLOB NOT NULL REFERENCES users (id),
    hash BLOB NOT NULL,
    PRIMARY KEY (user_id, hash)
);

-- The password was right; the second factor is awaited.
CREATE TABLE half_sessions (
    hash BLOB PRIMARY KEY,
    user_id BLOB NOT NULL REFERENCES users (id),
    attempts BIGINT NOT NULL DEFAULT 0,
    expires_at BIGINT NOT NULL
);

-- Attempts on whatever the key is a hash of, so that guessing gets slow.
CREATE TABLE attempts (
    key BLOB PRIMARY KEY,
    failures BIGINT NOT NULL,
    last_at BIGINT NOT NULL
);
CREATE INDEX attempts_by_age ON attempts (last_at);

-- Mails that wait to be sent. A secret in one is made when it is sent, so none stands here.
CREATE TABLE mails (
    id BLOB PRIMARY KEY,
    address TEXT NOT NULL,
    kind TEXT NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    due_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    -- Given up then, and why.
    dead_at BIGINT,
    reason TEXT
);
CREATE INDEX mails_due ON mails (due_at) WHERE dead_at IS NULL;
CREATE INDEX mails_dead ON mails (dead_at) WHERE dead_at IS NOT NULL;

-- What a mailed code is good for.
CREATE TABLE mail_links (
    hash BLOB PRIMARY KEY,
    purpose TEXT NOT NULL,
    address TEXT NOT NULL,
    user_id BLOB REFERENCES users (id),
    invitation_hash BLOB,
    expires_at BIGINT NOT NULL
);
CREATE INDEX mail_links_by_age ON mail_links (expires_at);

-- To whom it was mailed; whoever has the code can read that mailbox.
ALTER TABLE invitations ADD COLUMN email TEXT;

-- Sessions get secrets that change; those that there are end.
DROP TABLE browser_sessions;
CREATE TABLE browser_sessions (
    id BLOB PRIMARY KEY,
    org_id BLOB NOT NULL REFERENCES orgs (id),
    user_id BLOB NOT NULL REFERENCES users (id),
    hash BLOB NOT NULL UNIQUE,
    previous_hash BLOB UNIQUE,
    rotated_at BIGINT NOT NULL,
    confirmed_at BIGINT,
    -- When a password or another proof of its own was shown; absent: it came by a link.
    proven_at BIGINT,
    seen_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    -- What the browser says that it is.
    browser TEXT NOT NULL
);
CREATE INDEX browser_sessions_by_user ON browser_sessions (user_id);
