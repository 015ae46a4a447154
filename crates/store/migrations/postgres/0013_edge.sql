-- Names under which agents are reached: a label before the agents' domain, one each, and domains of their owners.
CREATE TABLE hosts (
    host text COLLATE "C" PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES orgs (id),
    agent_id uuid NOT NULL REFERENCES agents (id),
    created_at bigint NOT NULL
);
CREATE INDEX hosts_of_agent ON hosts (org_id, agent_id);
INSERT INTO hosts (host, org_id, agent_id, created_at)
SELECT CASE WHEN number = 1 AND name NOT LIKE '%--%' AND name NOT IN
                ('admin', 'api', 'app', 'auth', 'creel', 'dashboard', 'login', 'mail', 'status', 'www')
            THEN name ELSE name || '-x' || CAST(number AS text) END, org_id, id, created_at
FROM (SELECT name, org_id, id, created_at, ROW_NUMBER() OVER (PARTITION BY name ORDER BY created_at, id) AS number
      FROM agents) AS numbered;

-- Ports that are reached from outside. At most one of an agent is its page.
CREATE TABLE ports (
    org_id uuid NOT NULL REFERENCES orgs (id),
    agent_id uuid NOT NULL REFERENCES agents (id),
    port bigint NOT NULL,
    access text COLLATE "C" NOT NULL,
    page bigint NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (agent_id, port)
);

-- Links that open a private port to whoever has them.
CREATE TABLE share_links (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES orgs (id),
    agent_id uuid NOT NULL REFERENCES agents (id),
    port bigint NOT NULL,
    name text COLLATE "C" NOT NULL,
    hash bytea NOT NULL UNIQUE,
    expires_at bigint NOT NULL,
    created_at bigint NOT NULL,
    created_by text COLLATE "C" NOT NULL
);
CREATE INDEX share_links_of_agent ON share_links (org_id, agent_id);

-- What a browser shows to come to a private port: got for a ticket of a session, or for a share link.
CREATE TABLE accesses (
    hash bytea PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES orgs (id),
    agent_id uuid NOT NULL REFERENCES agents (id),
    port bigint NOT NULL,
    -- It is worth what these are: one of the two.
    session_id uuid,
    link_id uuid,
    -- A ticket is exchanged for an access once, within a minute.
    ticket bigint NOT NULL,
    expires_at bigint NOT NULL
);
CREATE INDEX accesses_of_agent ON accesses (org_id, agent_id, expires_at);
