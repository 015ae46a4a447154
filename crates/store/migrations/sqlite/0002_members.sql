-- Who belongs to an org, as what, and under which name there. A user may belong to several.
CREATE TABLE members (
    org_id BLOB NOT NULL REFERENCES orgs (id),
    user_id BLOB NOT NULL REFERENCES users (id),
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (org_id, user_id)
);
INSERT INTO members (org_id, user_id, name, role, created_at) SELECT org_id, id, name, 'owner', created_at FROM users;

CREATE TABLE invitations (
    id BLOB PRIMARY KEY,
    org_id BLOB NOT NULL REFERENCES orgs (id),
    role TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    invited_by BLOB NOT NULL REFERENCES users (id),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX invitations_by_org ON invitations (org_id, id);

-- Whoever was first runs the platform.
ALTER TABLE users ADD COLUMN operator BIGINT NOT NULL DEFAULT 0;
UPDATE users SET operator = 1 WHERE id = (SELECT id FROM users ORDER BY id LIMIT 1);

-- JSON, a list of scopes; absent: all that the user may do.
ALTER TABLE tokens ADD COLUMN scopes TEXT;
ALTER TABLE tokens ADD COLUMN expires_at BIGINT;
CREATE INDEX tokens_by_org ON tokens (org_id, id);
