-- Domains of owners that are to lead to their agents. Several orgs may claim one; whose proof was found has its row in `hosts`.
CREATE TABLE domains (
    org_id uuid NOT NULL REFERENCES orgs (id),
    host text COLLATE "C" NOT NULL,
    agent_id uuid NOT NULL REFERENCES agents (id),
    -- Which port it leads to. Absent: the agent's page.
    port bigint,
    -- What the owner puts into DNS to prove that it is theirs.
    token text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL,
    since bigint NOT NULL,
    failing_since bigint,
    -- Checks in a row without proof.
    misses bigint NOT NULL,
    checked_at bigint,
    -- In words, what the last check saw.
    seen text COLLATE "C" NOT NULL,
    -- Absent: it is not looked at by itself.
    next_check_at bigint,
    -- Grows with each change, so that what was seen before another change counts for nothing.
    revision bigint NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (org_id, host)
);
CREATE INDEX domains_of_agent ON domains (org_id, agent_id);
CREATE INDEX domains_due ON domains (next_check_at, org_id, host) WHERE next_check_at IS NOT NULL;

-- Where a domain leads, which its owner may say.
ALTER TABLE hosts ADD COLUMN port bigint;

-- What a browser got under one name is worth nothing under another. Those from before must come in again.
ALTER TABLE accesses ADD COLUMN host text COLLATE "C" NOT NULL DEFAULT '';
