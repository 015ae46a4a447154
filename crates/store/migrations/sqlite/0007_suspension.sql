-- Since when whoever runs the platform has the org stopped.
ALTER TABLE orgs ADD COLUMN suspended_at BIGINT;
-- 1: it ran when its org was suspended, and runs again afterwards.
ALTER TABLE agents ADD COLUMN halted BIGINT NOT NULL DEFAULT 0;
