-- Names under which agents are reached: a label before the agents' domain, one each, and domains of their owners.
CREATE TABLE hosts (
    host TEXT PRIMARY KEY,
    org_id BLOB NOT NULL REFERENCES orgs (id),
    agent_id BLOB NOT NULL REFERENCES agents (id),
    created_at BIGINT NOT NULL
);
CREATE INDEX hosts_of_agent ON hosts (org_id, agent_id);
INSERT INTO hosts (host, org_id, agent_id, created_at)
SELECT CASE WHEN number = 1 AND name NOT LIKE '%--%' AND name NOT IN
                ('admin', 'api', 'app', 'auth', 'creel', 'dashboard', 'login', 'mail', 'status', 'www')
            THEN name ELSE name || '-x' || CAST(number AS TEXT) END, org_id, id, created_at
FROM (SELECT name, org_id, id, created_at, ROW_NUMBER() OVER (PARTITION BY name ORDER BY created_at, id) AS number
      FROM agents) AS numbered;

-- Ports that are reached from outside. At most one of an agent is its page.
CREATE TABLE ports (
    org_id BLOB NOT NULL REFERENCES orgs (id),
    agent_id BLOB NOT NULL REFERENCES agents (id),
    port BIGINT NOT NULL,
    access TEXT NOT NULL,
    page BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (agent_id, port)
);

-- Links that open a private port to whoever has them.
CREATE TABLE share_links (
    id BLOB PRIMARY KEY,
    org_id BLOB NOT NULL REFERENCES orgs (id),
    agent_id BLOB NOT NULL REFERENCES agents (id),
    port BIGINT NOT NULL,
    name TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    expires_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL
);
CREATE INDEX share_links_of_agent ON share_links (org_id, agent_id);

-- What a browser shows to come to a private port: got for a ticket of a session, or for a share link.
CREATE TABLE accesses (
    hash BLOB PRIMARY KEY,
    org_id BLOB NOT NULL REFERENCES orgs (id),
    agent_id BLOB NOT NULL REFERENCES agents (id),
    port BIGINT NOT NULL,
    -- It is worth what these are: one of the two.
    session_id BLOB,
    link_id BLOB,
    -- A ticket is exchanged for an access once, within a minute.
    ticket BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX accesses_of_agent ON accesses (org_id, agent_id, expires_at);
