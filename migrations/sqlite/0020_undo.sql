-- What people did with several alerts at once, so that it can be undone.
--
-- The latest hundred are kept, each with the alerts it changed and how they were before.

CREATE TABLE actions (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    who TEXT NOT NULL,
    what TEXT NOT NULL,               -- in words: acknowledged by ada
    undone_at INTEGER,
    undone_by TEXT
) STRICT;

CREATE TABLE action_alerts (
    action INTEGER NOT NULL REFERENCES actions (id),
    alert INTEGER NOT NULL REFERENCES alerts (seq),
    revision INTEGER NOT NULL,        -- the one it left; another means that more has happened since
    status INTEGER NOT NULL,          -- this and what follows: as it was before
    regressed INTEGER NOT NULL,
    open_since INTEGER,
    acknowledged_at INTEGER,
    acknowledged_by TEXT,
    resolved_at INTEGER,
    resolved_by TEXT,
    resolution INTEGER,
    PRIMARY KEY (action, alert)
) STRICT, WITHOUT ROWID;

-- The action that wrote or took back a message.
ALTER TABLE outbox ADD COLUMN action INTEGER;
CREATE INDEX outbox_action ON outbox (action, alert) WHERE action IS NOT NULL;
