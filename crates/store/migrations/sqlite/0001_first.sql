-- Ids are 16-byte UUIDs, times are microseconds since 1970 in UTC, money is integer micro-dollars.

-- What opens with the right master key and with no other.
CREATE TABLE key_check (
    sealed BLOB NOT NULL
);

CREATE TABLE orgs (
    id BLOB PRIMARY KEY,
    name TEXT NOT NULL,
    last_event BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL
);

CREATE TABLE users (
    id BLOB PRIMARY KEY,
    org_id BLOB NOT NULL REFERENCES orgs (id),
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

-- Secrets of every kind are kept as SHA-256 of what was given out once.
CREATE TABLE tokens (
    id BLOB PRIMARY KEY,
    org_id BLOB NOT NULL REFERENCES orgs (id),
    user_id BLOB NOT NULL REFERENCES users (id),
    name TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT
);

CREATE TABLE sign_in_links (
    hash BLOB PRIMARY KEY,
    org_id BLOB NOT NULL REFERENCES orgs (id),
    user_id BLOB NOT NULL REFERENCES users (id),
    expires_at BIGINT NOT NULL
);

CREATE TABLE browser_sessions (
    hash BLOB PRIMARY KEY,
    org_id BLOB NOT NULL REFERENCES orgs (id),
    user_id BLOB NOT NULL REFERENCES users (id),
    expires_at BIGINT NOT NULL
);

CREATE TABLE agents (
    id BLOB PRIMARY KEY,
    org_id BLOB NOT NULL REFERENCES orgs (id),
    name TEXT NOT NULL,
    spec TEXT NOT NULL,
    intent TEXT NOT NULL,
    generation BIGINT NOT NULL,
    incarnation BIGINT NOT NULL,
    sandbox_id BLOB NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    UNIQUE (org_id, name)
);

CREATE TABLE turns (
    id BLOB PRIMARY KEY,
    org_id BLOB NOT NULL,
    agent_id BLOB NOT NULL,
    session TEXT NOT NULL,
    message TEXT NOT NULL,
    status TEXT NOT NULL,
    text TEXT NOT NULL DEFAULT '',
    tools TEXT NOT NULL DEFAULT '[]',
    failure_code TEXT,
    failure_message TEXT,
    created_at BIGINT NOT NULL,
    finished_at BIGINT
);
CREATE INDEX turns_by_session ON turns (org_id, agent_id, session, id);
CREATE INDEX turns_running ON turns (status) WHERE status = 'running';

CREATE TABLE calls (
    id BLOB PRIMARY KEY,
    org_id BLOB NOT NULL,
    agent_id BLOB NOT NULL,
    turn_id BLOB,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    outcome TEXT NOT NULL,
    has_usage BIGINT NOT NULL DEFAULT 0,
    input_tokens BIGINT NOT NULL DEFAULT 0,
    cached_input_tokens BIGINT NOT NULL DEFAULT 0,
    output_tokens BIGINT NOT NULL DEFAULT 0,
    cost_micro_usd BIGINT,
    started_at BIGINT NOT NULL,
    duration_ms BIGINT
);
CREATE INDEX calls_by_time ON calls (org_id, started_at);
CREATE INDEX calls_open ON calls (outcome) WHERE outcome = 'open';

CREATE TABLE providers (
    id BLOB PRIMARY KEY,
    org_id BLOB NOT NULL REFERENCES orgs (id),
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    base_url TEXT,
    sealed_key BLOB,
    created_at BIGINT NOT NULL,
    UNIQUE (org_id, name)
);

CREATE TABLE events (
    org_id BLOB NOT NULL,
    sequence BIGINT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    data TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (org_id, sequence)
);

CREATE TABLE idempotency (
    org_id BLOB NOT NULL,
    key TEXT NOT NULL,
    request_hash BLOB NOT NULL,
    -- What the request made, written in the transaction that made it.
    subject TEXT,
    status BIGINT,
    body TEXT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (org_id, key)
);
CREATE INDEX idempotency_by_age ON idempotency (org_id, created_at);

CREATE TABLE egress_decisions (
    id INTEGER PRIMARY KEY,
    org_id BLOB NOT NULL,
    agent_id BLOB NOT NULL,
    destination TEXT NOT NULL,
    rule TEXT NOT NULL,
    repeats BIGINT NOT NULL,
    at BIGINT NOT NULL
);
CREATE INDEX egress_by_agent ON egress_decisions (org_id, agent_id, id);
