-- Until when somebody keeps an agent awake, whoever else needs it.
ALTER TABLE agents ADD COLUMN held_until bigint;
-- When somebody was done with what had come to nothing.
ALTER TABLE turns ADD COLUMN dropped_at bigint;
