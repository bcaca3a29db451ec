-- What people do with an alert, and why each receiver was or was not told of it.
--
-- Every added column has a constant default, so that adding it reads nothing. The tables here are
-- those of alerts and messages, not of events: they hold thousands of rows, not millions.

ALTER TABLE alerts ADD COLUMN regressed INTEGER NOT NULL DEFAULT 0; -- 1 when evidence came after a resolve
ALTER TABLE alerts ADD COLUMN open_since INTEGER;     -- when it last began to need somebody
ALTER TABLE alerts ADD COLUMN acknowledged_at INTEGER;
ALTER TABLE alerts ADD COLUMN acknowledged_by TEXT;
ALTER TABLE alerts ADD COLUMN resolved_at INTEGER;
ALTER TABLE alerts ADD COLUMN resolved_by TEXT;
ALTER TABLE alerts ADD COLUMN resolution INTEGER;     -- why it was resolved

-- The person; absent for what the rules or the program did.
ALTER TABLE alert_history ADD COLUMN who TEXT;

ALTER TABLE outbox ADD COLUMN decided_at INTEGER;     -- when it was decided that the receiver is told
ALTER TABLE outbox ADD COLUMN told_at INTEGER;        -- when it was first leased for sending
ALTER TABLE outbox ADD COLUMN group_key TEXT;         -- rows of a receiver with one key go out together
ALTER TABLE outbox ADD COLUMN group_secs INTEGER NOT NULL DEFAULT 0; -- least time between two messages of it
ALTER TABLE outbox ADD COLUMN bundle INTEGER;         -- outbox.id of the row under whose message id it went out
ALTER TABLE outbox ADD COLUMN held_by TEXT;           -- name of the silence that holds it back
ALTER TABLE outbox ADD COLUMN reported INTEGER NOT NULL DEFAULT 0; -- 1 when others were told it was given up

CREATE INDEX outbox_told ON outbox (receiver, told_at) WHERE told_at IS NOT NULL;
CREATE INDEX outbox_unreported ON outbox (receiver) WHERE state = 2 AND reported = 0;
CREATE INDEX outbox_group ON outbox (receiver, group_key, told_at) WHERE group_key IS NOT NULL;
CREATE INDEX outbox_bundle ON outbox (bundle) WHERE bundle IS NOT NULL;
CREATE INDEX outbox_held ON outbox (held_by) WHERE held_by IS NOT NULL;
-- For times to alert: the latest messages that were accepted.
CREATE INDEX outbox_delivered ON outbox (delivered_at) WHERE delivered_at IS NOT NULL;

-- Why a receiver was told of an alert, or was not, or not yet.
CREATE TABLE decisions (
    id INTEGER PRIMARY KEY,
    alert INTEGER NOT NULL REFERENCES alerts (seq),
    receiver TEXT NOT NULL,
    at INTEGER NOT NULL,
    choice INTEGER NOT NULL,          -- told, not told, held back, muted, taken back
    reason TEXT NOT NULL,
    delivery INTEGER                  -- outbox.id, when there is a message
) STRICT;
CREATE INDEX decisions_alert ON decisions (alert, receiver);

-- Silences people made on the dashboard; those of the configuration are not stored.
CREATE TABLE silences (
    id INTEGER PRIMARY KEY,
    matchers TEXT NOT NULL,           -- one per line
    starts_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    author TEXT NOT NULL,
    reason TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expired_by TEXT                   -- who ended it before its time
) STRICT;
CREATE INDEX silences_ends ON silences (ends_at);

-- How a receiver that fails is tried. No row: it answers.
CREATE TABLE failing_receivers (
    receiver TEXT PRIMARY KEY,
    since INTEGER NOT NULL,
    failures INTEGER NOT NULL,        -- in a row
    probe_at INTEGER,                 -- set when it is only probed: not before
    error TEXT NOT NULL
) STRICT;

-- The last heartbeat to each receiver that gets them.
CREATE TABLE heartbeats (
    receiver TEXT PRIMARY KEY,
    tried_at INTEGER NOT NULL,
    accepted_at INTEGER,
    error TEXT
) STRICT;
