-- Messages that an agent is sent by the clock.
CREATE TABLE schedules (
    id BLOB PRIMARY KEY,
    org_id BLOB NOT NULL REFERENCES orgs (id),
    agent_id BLOB NOT NULL REFERENCES agents (id),
    name TEXT NOT NULL,
    -- JSON: a cron expression with its zone, an interval, or a time.
    rule TEXT NOT NULL,
    message TEXT NOT NULL,
    session TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    missed TEXT NOT NULL,
    overlap TEXT NOT NULL,
    -- What an interval counts from.
    anchor_at BIGINT NOT NULL,
    -- The next planned time. Absent: it is paused, or its time is over.
    next_at BIGINT,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    UNIQUE (org_id, agent_id, name)
);
CREATE INDEX schedules_due ON schedules (next_at, id) WHERE next_at IS NOT NULL;

-- What came of each planned time.
CREATE TABLE schedule_runs (
    id BLOB PRIMARY KEY,
    org_id BLOB NOT NULL,
    agent_id BLOB NOT NULL,
    schedule_id BLOB NOT NULL,
    -- Absent: somebody asked for it.
    planned_at BIGINT,
    at BIGINT NOT NULL,
    -- Absent: it did not run, for the reason beside it.
    turn_id BLOB,
    not_run TEXT,
    -- A planned time is acted upon once, by however many controls.
    UNIQUE (schedule_id, planned_at)
);
CREATE INDEX schedule_runs_newest ON schedule_runs (org_id, schedule_id, id);
CREATE INDEX schedule_runs_by_agent ON schedule_runs (org_id, agent_id);

-- A turn in which the runtime does the jobs that it has planned itself.
ALTER TABLE turns ADD COLUMN own_jobs BIGINT NOT NULL DEFAULT 0;
-- When the runtime next wants to do one, and when it was last let.
ALTER TABLE agents ADD COLUMN runtime_wake_at BIGINT;
ALTER TABLE agents ADD COLUMN runtime_woken_at BIGINT;
CREATE INDEX agents_to_wake ON agents (runtime_wake_at) WHERE runtime_wake_at IS NOT NULL;
