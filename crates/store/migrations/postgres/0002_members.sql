-- Who belongs to an org, as what, and under which name there. A user may belong to several.
CREATE TABLE members (
    org_id uuid NOT NULL REFERENCES orgs (id),
    user_id uuid NOT NULL REFERENCES users (id),
    name text COLLATE "C" NOT NULL,
    role text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (org_id, user_id)
);
INSERT INTO members (org_id, user_id, name, role, created_at) SELECT org_id, id, name, 'owner', created_at FROM users;

CREATE TABLE invitations (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES orgs (id),
    role text COLLATE "C" NOT NULL,
    hash bytea NOT NULL UNIQUE,
    invited_by uuid NOT NULL REFERENCES users (id),
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL
);
CREATE INDEX invitations_by_org ON invitations (org_id, id);

-- Whoever was first runs the platform.
ALTER TABLE users ADD COLUMN operator bigint NOT NULL DEFAULT 0;
UPDATE users SET operator = 1 WHERE id = (SELECT id FROM users ORDER BY id LIMIT 1);

-- JSON, a list of scopes; absent: all that the user may do.
ALTER TABLE tokens ADD COLUMN scopes text COLLATE "C";
ALTER TABLE tokens ADD COLUMN expires_at bigint;
CREATE INDEX tokens_by_org ON tokens (org_id, id);
