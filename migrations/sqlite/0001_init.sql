-- Every time is nanoseconds since 1970-01-01T00:00:00Z. Every closed vocabulary (provider, class,
-- outcome, level, kinds, states) is the integer code store/src/codes.rs gives it; codes never change.

-- Texts that repeat, once each. Columns below that say "name" hold an id of this table.
CREATE TABLE names (
    id INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
) STRICT;

-- Raw records of a batch, back to back, compressed together: many times smaller than one by one.
CREATE TABLE raw_blocks (
    id INTEGER PRIMARY KEY,
    received_at INTEGER NOT NULL,
    bytes_len INTEGER NOT NULL,
    zstd BLOB NOT NULL
) STRICT;

-- One row per event, only what lists and filters need; the rest is read from the raw record.
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL,                -- hour the record says (4 bytes) and 16 bytes of SHA-256 of event_id
    event_id TEXT NOT NULL,
    time INTEGER NOT NULL,
    hour INTEGER NOT NULL,            -- of time
    digits INTEGER NOT NULL,          -- fractional digits the provider gave
    provider INTEGER NOT NULL,
    class INTEGER NOT NULL,
    outcome INTEGER NOT NULL,
    level INTEGER NOT NULL,
    signal INTEGER NOT NULL,          -- 1 when windows are rebuilt from it after a restart
    echo INTEGER NOT NULL,
    service INTEGER NOT NULL,         -- name
    store INTEGER,                    -- name
    account INTEGER,                  -- name
    region INTEGER,                   -- name
    operation INTEGER NOT NULL,       -- name
    principal INTEGER NOT NULL,       -- name; what it is stands in principals
    source INTEGER,                   -- name
    source_kind INTEGER NOT NULL,
    secrets TEXT,                     -- JSON array of names
    rules TEXT,                       -- JSON array of names
    place INTEGER NOT NULL,           -- name
    line INTEGER NOT NULL,
    record INTEGER NOT NULL,
    block INTEGER NOT NULL,           -- raw_blocks.id
    raw_start INTEGER NOT NULL,       -- within the uncompressed block
    raw_len INTEGER NOT NULL
) STRICT;
-- What makes it idempotent.
CREATE UNIQUE INDEX events_key ON events (key);
CREATE INDEX events_time ON events (time);
-- The hour comes first so that a batch writes to few pages however many principals there are. A
-- query walks the hours, newest first, and stops when its page is full.
CREATE INDEX events_principal ON events (hour, principal, time);
CREATE INDEX events_source ON events (hour, source, time);
CREATE INDEX events_signal ON events (time) WHERE signal = 1;
CREATE INDEX events_level ON events (time) WHERE level > 0;

-- Hours under which keys stand: where an event is looked for when only its id is known.
CREATE TABLE key_hours (
    hour INTEGER PRIMARY KEY
) STRICT;

-- Who touched a secret: a summary reads nothing but this.
CREATE TABLE event_secrets (
    hour INTEGER NOT NULL,
    secret INTEGER NOT NULL,          -- name
    time INTEGER NOT NULL,
    event INTEGER NOT NULL,           -- events.id
    principal INTEGER NOT NULL,       -- name
    source INTEGER,                   -- name
    ok INTEGER NOT NULL,
    PRIMARY KEY (hour, secret, time, event)
) STRICT, WITHOUT ROWID;

CREATE TABLE secrets (
    id INTEGER PRIMARY KEY,           -- name
    name INTEGER NOT NULL,            -- name: the readable one
    events INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL
) STRICT;

CREATE TABLE principals (
    id INTEGER PRIMARY KEY,           -- name
    kind INTEGER NOT NULL,
    name INTEGER,                     -- name: the readable one
    events INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL
) STRICT;

-- Events per hour of event time and level; hour counts hours since 1970. Every hour that has an
-- event has a row.
CREATE TABLE hours (
    hour INTEGER PRIMARY KEY,
    info INTEGER NOT NULL,
    warning INTEGER NOT NULL,
    high INTEGER NOT NULL,
    critical INTEGER NOT NULL
) STRICT;

-- events, duplicates, rejects: counting them would read every row.
CREATE TABLE counters (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE rejects (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,         -- first 16 bytes of SHA-256 of place, kind and bytes
    place TEXT NOT NULL,
    line INTEGER NOT NULL,
    record INTEGER NOT NULL,
    kind TEXT NOT NULL,
    reason TEXT NOT NULL,
    bytes_len INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    zstd BLOB NOT NULL
) STRICT;

CREATE TABLE positions (
    source TEXT PRIMARY KEY,
    position TEXT NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE learned (
    key TEXT PRIMARY KEY,
    state BLOB NOT NULL
) STRICT;

CREATE TABLE alerts (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    rule TEXT NOT NULL,
    level INTEGER NOT NULL,
    provider INTEGER NOT NULL,
    principal TEXT,
    opened_at INTEGER NOT NULL,
    status INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    body TEXT NOT NULL                -- the alert's public JSON form
) STRICT;
CREATE INDEX alerts_opened ON alerts (opened_at);
CREATE INDEX alerts_status ON alerts (status, level, opened_at);

-- Ids an alert had before earlier evidence moved its opening.
CREATE TABLE alert_aliases (
    id TEXT PRIMARY KEY,
    alert INTEGER NOT NULL REFERENCES alerts (seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX alert_aliases_alert ON alert_aliases (alert);

CREATE TABLE alert_events (
    alert INTEGER NOT NULL REFERENCES alerts (seq),
    hash BLOB NOT NULL,               -- first 16 bytes of SHA-256 of the event's id
    event INTEGER NOT NULL,           -- events.id
    PRIMARY KEY (alert, hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX alert_events_event ON alert_events (event);

CREATE TABLE alert_secrets (
    alert INTEGER NOT NULL REFERENCES alerts (seq),
    secret TEXT NOT NULL,
    PRIMARY KEY (alert, secret)
) STRICT, WITHOUT ROWID;
CREATE INDEX alert_secrets_secret ON alert_secrets (secret);

CREATE TABLE alert_history (
    id INTEGER PRIMARY KEY,
    alert INTEGER NOT NULL REFERENCES alerts (seq),
    at INTEGER NOT NULL,
    what TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
CREATE INDEX alert_history_alert ON alert_history (alert);

-- One row per alert change worth telling and receiver.
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY,
    message_id TEXT NOT NULL UNIQUE,
    alert INTEGER NOT NULL REFERENCES alerts (seq),
    receiver TEXT NOT NULL,
    kind INTEGER NOT NULL,
    state INTEGER NOT NULL,           -- 0 pending, 1 delivered, 2 dead letter, 3 cancelled
    level INTEGER NOT NULL,
    body TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL,        -- since written or last replayed
    leases INTEGER NOT NULL,          -- how often leased: makes every lease unique
    leased_until INTEGER,
    delivered_at INTEGER,
    note TEXT,                        -- why the alert was withdrawn
    reason TEXT                       -- why it was given up or taken back
) STRICT;
CREATE INDEX outbox_due ON outbox (receiver, due_at) WHERE state = 0;
CREATE INDEX outbox_alert ON outbox (alert, receiver, id);
CREATE INDEX outbox_state ON outbox (receiver, state);

CREATE TABLE attempts (
    id INTEGER PRIMARY KEY,
    delivery INTEGER NOT NULL REFERENCES outbox (id),
    number INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    latency_ms INTEGER NOT NULL,
    status INTEGER,
    error TEXT,
    response TEXT
) STRICT;
CREATE INDEX attempts_delivery ON attempts (delivery);

CREATE TABLE paused_receivers (
    receiver TEXT PRIMARY KEY,
    at INTEGER NOT NULL,
    reason TEXT NOT NULL
) STRICT;
