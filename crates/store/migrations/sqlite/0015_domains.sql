-- Domains of owners that are to lead to their agents. Several orgs may claim one; whose proof was found has its row in `hosts`.
CREATE TABLE domains (
    org_id BLOB NOT NULL REFERENCES orgs (id),
    host TEXT NOT NULL,
    agent_id BLOB NOT NULL REFERENCES agents (id),
    -- Which port it leads to. Absent: the agent's page.
    port BIGINT,
    -- What the owner puts into DNS to prove that it is theirs.
    token TEXT NOT NULL,
    state TEXT NOT NULL,
    since BIGINT NOT NULL,
    failing_since BIGINT,
    -- Checks in a row without proof.
    misses BIGINT NOT NULL,
    checked_at BIGINT,
    -- In words, what the last check saw.
    seen TEXT NOT NULL,
    -- Absent: it is not looked at by itself.
    next_check_at BIGINT,
    -- Grows with each change, so that what was seen before another change counts for nothing.
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (org_id, host)
);
CREATE INDEX domains_of_agent ON domains (org_id, agent_id);
CREATE INDEX domains_due ON domains (next_check_at, org_id, host) WHERE next_check_at IS NOT NULL;

-- Where a domain leads, which its owner may say.
ALTER TABLE hosts ADD COLUMN port BIGINT;

-- What a browser got under one name is worth nothing under another. Those from before must come in again.
ALTER TABLE accesses ADD COLUMN host TEXT NOT NULL DEFAULT '';
