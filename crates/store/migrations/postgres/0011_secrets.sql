-- Values are sealed with random keys, one a version, which the master key wraps. `key_version` beside a sealed value says
-- with which; 0: with a key that was derived from the master key, as before there were these tables.
CREATE TABLE platform_keys (
    version bigint PRIMARY KEY,
    wrapped bytea NOT NULL,
    -- Which master key wrapped it, and in which round of exchanging the master key.
    wrapped_by text COLLATE "C" NOT NULL,
    round bigint NOT NULL,
    created_at bigint NOT NULL
);

CREATE TABLE org_keys (
    org_id uuid NOT NULL REFERENCES orgs (id),
    version bigint NOT NULL,
    wrapped bytea NOT NULL,
    wrapped_by text COLLATE "C" NOT NULL,
    round bigint NOT NULL,
    -- The revision of the org's own key that wraps it within; 0: the master key alone does.
    own bigint NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (org_id, version)
);

-- One row: which master key wraps from now on.
CREATE TABLE master_key (
    id bigint PRIMARY KEY,
    wrapped_by text COLLATE "C" NOT NULL,
    round bigint NOT NULL,
    began_at bigint NOT NULL,
    finished_at bigint
);

-- A key that an org keeps in a Vault of its own. Absent: it has none, or has none any more.
CREATE TABLE own_keys (
    org_id uuid PRIMARY KEY REFERENCES orgs (id),
    revision bigint NOT NULL,
    address text COLLATE "C",
    mount text COLLATE "C",
    name text COLLATE "C",
    sealed_token bytea,
    key_version bigint NOT NULL,
    changed_at bigint NOT NULL,
    changed_by text COLLATE "C" NOT NULL
);

CREATE TABLE secrets (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES orgs (id),
    -- Absent: the whole org's.
    agent_id uuid REFERENCES agents (id),
    name text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    sealed bytea NOT NULL,
    key_version bigint NOT NULL,
    created_at bigint NOT NULL,
    changed_at bigint NOT NULL,
    changed_by text COLLATE "C" NOT NULL
);
CREATE UNIQUE INDEX secrets_of_org ON secrets (org_id, name) WHERE agent_id IS NULL;
CREATE UNIQUE INDEX secrets_of_agent ON secrets (org_id, agent_id, name) WHERE agent_id IS NOT NULL;
CREATE INDEX secrets_by_key ON secrets (org_id, key_version);

-- Where every org's calls may go, with the platform's own key.
CREATE TABLE platform_providers (
    id uuid PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE,
    kind text COLLATE "C" NOT NULL,
    base_url text COLLATE "C",
    sealed_key bytea,
    key_version bigint NOT NULL,
    created_at bigint NOT NULL
);

ALTER TABLE key_check ADD COLUMN key_version bigint NOT NULL DEFAULT 0;
ALTER TABLE totps ADD COLUMN key_version bigint NOT NULL DEFAULT 0;
ALTER TABLE signing_keys ADD COLUMN key_version bigint NOT NULL DEFAULT 0;
ALTER TABLE sso_providers ADD COLUMN key_version bigint NOT NULL DEFAULT 0;
ALTER TABLE audit_heads ADD COLUMN key_version bigint NOT NULL DEFAULT 0;
ALTER TABLE providers ADD COLUMN key_version bigint NOT NULL DEFAULT 0;
-- The name of the org's secret that is its key, instead of one of its own.
ALTER TABLE providers ADD COLUMN key_secret text COLLATE "C";
-- Whose key a call was made with: org, agent or platform; absent: with none.
ALTER TABLE calls ADD COLUMN key_of text COLLATE "C";
