-- Messages that an agent is sent by the clock.
CREATE TABLE schedules (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES orgs (id),
    agent_id uuid NOT NULL REFERENCES agents (id),
    name text COLLATE "C" NOT NULL,
    -- JSON: a cron expression with its zone, an interval, or a time.
    rule text COLLATE "C" NOT NULL,
    message text COLLATE "C" NOT NULL,
    session text COLLATE "C" NOT NULL,
    enabled bigint NOT NULL,
    missed text COLLATE "C" NOT NULL,
    overlap text COLLATE "C" NOT NULL,
    -- What an interval counts from.
    anchor_at bigint NOT NULL,
    -- The next planned time. Absent: it is paused, or its time is over.
    next_at bigint,
    revision bigint NOT NULL,
    created_at bigint NOT NULL,
    changed_at bigint NOT NULL,
    UNIQUE (org_id, agent_id, name)
);
CREATE INDEX schedules_due ON schedules (next_at, id) WHERE next_at IS NOT NULL;

-- What came of each planned time.
CREATE TABLE schedule_runs (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL,
    agent_id uuid NOT NULL,
    schedule_id uuid NOT NULL,
    -- Absent: somebody asked for it.
    planned_at bigint,
    at bigint NOT NULL,
    -- Absent: it did not run, for the reason beside it.
    turn_id uuid,
    not_run text COLLATE "C",
    -- A planned time is acted upon once, by however many controls.
    UNIQUE (schedule_id, planned_at)
);
CREATE INDEX schedule_runs_newest ON schedule_runs (org_id, schedule_id, id);
CREATE INDEX schedule_runs_by_agent ON schedule_runs (org_id, agent_id);

-- A turn in which the runtime does the jobs that it has planned itself.
ALTER TABLE turns ADD COLUMN own_jobs bigint NOT NULL DEFAULT 0;
-- When the runtime next wants to do one, and when it was last let.
ALTER TABLE agents ADD COLUMN runtime_wake_at bigint;
ALTER TABLE agents ADD COLUMN runtime_woken_at bigint;
CREATE INDEX agents_to_wake ON agents (runtime_wake_at) WHERE runtime_wake_at IS NOT NULL;
