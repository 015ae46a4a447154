-- How people sign in. None of it belongs to an org: a person may be a member of several.

-- Normalised; at most one a person.
CREATE TABLE emails (
    address text COLLATE "C" PRIMARY KEY,
    user_id uuid NOT NULL UNIQUE REFERENCES users (id),
    -- When its owner showed a code that was mailed to it.
    verified_at bigint,
    created_at bigint NOT NULL
);

-- Argon2id, with what it was made with.
CREATE TABLE passwords (
    user_id uuid PRIMARY KEY REFERENCES users (id),
    hash bytea NOT NULL,
    salt bytea NOT NULL,
    memory_kib bigint NOT NULL,
    passes bigint NOT NULL,
    lanes bigint NOT NULL,
    changed_at bigint NOT NULL
);

-- The second factor: a secret sealed with the master key, and the last step of time whose code was used.
CREATE TABLE totps (
    user_id uuid PRIMARY KEY REFERENCES users (id),
    sealed bytea NOT NULL,
    last_step bigint NOT NULL DEFAULT 0,
    confirmed_at bigint,
    created_at bigint NOT NULL
);

CREATE TABLE recovery_codes (
    user_id uuid NOT NULL REFERENCES users (id),
    hash bytea NOT NULL,
    PRIMARY KEY (user_id, hash)
);

-- The password was right; the second factor is awaited.
CREATE TABLE half_sessions (
    hash bytea PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users (id),
    attempts bigint NOT NULL DEFAULT 0,
    expires_at bigint NOT NULL
);

-- Attempts on whatever the key is a hash of, so that guessing gets slow.
CREATE TABLE attempts (
    key bytea PRIMARY KEY,
    failures bigint NOT NULL,
    last_at bigint NOT NULL
);
CREATE INDEX attempts_by_age ON attempts (last_at);

-- Mails that wait to be sent. A secret in one is made when it is sent, so none stands here.
CREATE TABLE mails (
    id uuid PRIMARY KEY,
    address text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    attempts bigint NOT NULL DEFAULT 0,
    due_at bigint NOT NULL,
    created_at bigint NOT NULL,
    -- Given up then, and why.
    dead_at bigint,
    reason text COLLATE "C"
);
CREATE INDEX mails_due ON mails (due_at) WHERE dead_at IS NULL;
CREATE INDEX mails_dead ON mails (dead_at) WHERE dead_at IS NOT NULL;

-- What a mailed code is good for.
CREATE TABLE mail_links (
    hash bytea PRIMARY KEY,
    purpose text COLLATE "C" NOT NULL,
    address text COLLATE "C" NOT NULL,
    user_id uuid REFERENCES users (id),
    invitation_hash bytea,
    expires_at bigint NOT NULL
);
CREATE INDEX mail_links_by_age ON mail_links (expires_at);

-- To whom it was mailed; whoever has the code can read that mailbox.
ALTER TABLE invitations ADD COLUMN email text COLLATE "C";

-- Sessions get secrets that change; those that there are end.
DROP TABLE browser_sessions;
CREATE TABLE browser_sessions (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES orgs (id),
    user_id uuid NOT NULL REFERENCES users (id),
    hash bytea NOT NULL UNIQUE,
    previous_hash bytea UNIQUE,
    rotated_at bigint NOT NULL,
    confirmed_at bigint,
    -- When a password or another proof of its own was shown; absent: it came by a link.
    proven_at bigint,
    seen_at bigint NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    -- What the browser says that it is.
    browser text COLLATE "C" NOT NULL
);
CREATE INDEX browser_sessions_by_user ON browser_sessions (user_id);
