-- Values are sealed with random keys, one a version, which the master key wraps. `key_version` beside a sealed value says
-- with which; 0: with a key that was derived from the master key, as before there were these tables.
CREATE TABLE platform_keys (
    version BIGINT PRIMARY KEY,
    wrapped BLOB NOT NULL,
    -- Which master key wrapped it, and in which round of exchanging the master key.
    wrapped_by TEXT NOT NULL,
    round BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE org_keys (
    org_id BLOB NOT NULL REFERENCES orgs (id),
    version BIGINT NOT NULL,
    wrapped BLOB NOT NULL,
    wrapped_by TEXT NOT NULL,
    round BIGINT NOT NULL,
    -- The revision of the org's own key that wraps it within; 0: the master key alone does.
    own BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (org_id, version)
);

-- One row: which master key wraps from now on.
CREATE TABLE master_key (
    id BIGINT PRIMARY KEY,
    wrapped_by TEXT NOT NULL,
    round BIGINT NOT NULL,
    began_at BIGINT NOT NULL,
    finished_at BIGINT
);

-- A key that an org keeps in a Vault of its own. Absent: it has none, or has none any more.
CREATE TABLE own_keys (
    org_id BLOB PRIMARY KEY REFERENCES orgs (id),
    revision BIGINT NOT NULL,
    address TEXT,
    mount TEXT,
    name TEXT,
    sealed_token BLOB,
    key_version BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    changed_by TEXT NOT NULL
);

CREATE TABLE secrets (
    id BLOB PRIMARY KEY,
    org_id BLOB NOT NULL REFERENCES orgs (id),
    -- Absent: the whole org's.
    agent_id BLOB REFERENCES agents (id),
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    sealed BLOB NOT NULL,
    key_version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    changed_by TEXT NOT NULL
);
CREATE UNIQUE INDEX secrets_of_org ON secrets (org_id, name) WHERE agent_id IS NULL;
CREATE UNIQUE INDEX secrets_of_agent ON secrets (org_id, agent_id, name) WHERE agent_id IS NOT NULL;
CREATE INDEX secrets_by_key ON secrets (org_id, key_version);

-- Where every org's calls may go, with the platform's own key.
CREATE TABLE platform_providers (
    id BLOB PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    base_url TEXT,
    sealed_key BLOB,
    key_version BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

ALTER TABLE key_check ADD COLUMN key_version BIGINT NOT NULL DEFAULT 0;
ALTER TABLE totps ADD COLUMN key_version BIGINT NOT NULL DEFAULT 0;
ALTER TABLE signing_keys ADD COLUMN key_version BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sso_providers ADD COLUMN key_version BIGINT NOT NULL DEFAULT 0;
ALTER TABLE audit_heads ADD COLUMN key_version BIGINT NOT NULL DEFAULT 0;
ALTER TABLE providers ADD COLUMN key_version BIGINT NOT NULL DEFAULT 0;
-- The name of the org's secret that is its key, instead of one of its own.
ALTER TABLE providers ADD COLUMN key_secret TEXT;
-- Whose key a call was made with: org, agent or platform; absent: with none.
ALTER TABLE calls ADD COLUMN key_of TEXT;
