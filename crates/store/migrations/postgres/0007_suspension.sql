-- Since when whoever runs the platform has the org stopped.
ALTER TABLE orgs ADD COLUMN suspended_at bigint;
-- 1: it ran when its org was suspended, and runs again afterwards.
ALTER TABLE agents ADD COLUMN halted bigint NOT NULL DEFAULT 0;
