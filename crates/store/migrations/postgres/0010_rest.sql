-- How deeply an agent sleeps, where that is the intent, and since when.
ALTER TABLE agents ADD COLUMN depth text COLLATE "C" NOT NULL DEFAULT 'frozen';
ALTER TABLE agents ADD COLUMN asleep_since bigint;
-- Grows with what its owner changes; the generation, with anything.
ALTER TABLE agents ADD COLUMN revision bigint NOT NULL DEFAULT 0;
UPDATE agents SET revision = generation;
