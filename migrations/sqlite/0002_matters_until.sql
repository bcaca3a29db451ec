-- How long each event may matter to a window or an incident, as the rules said when it was judged:
-- what a restart and late events need of the history. It takes the place of `signal`, which is
-- still written and goes in a later release.
ALTER TABLE events ADD COLUMN matters_until INTEGER NOT NULL DEFAULT 0;

-- Windows were at most a day long and incidents lived an hour after it: of what is stored, only the
-- signals of the last two days can still matter.
UPDATE events INDEXED BY events_signal SET matters_until = time + 90000000000000
WHERE signal = 1 AND time >= (SELECT max(time) FROM events) - 172800000000000;

-- Reads the whole table once. Both columns, so that a search never leaves the index.
CREATE INDEX events_matters ON events (time, matters_until) WHERE matters_until > 0;
DROP INDEX events_signal;
