-- What is published to CloudWatch. Every stored event is counted into exactly one publication, in the
-- transaction that moves the mark; a publication is sent whole.

-- How far events and rejects have been counted.
CREATE TABLE publication_marks (
    name TEXT PRIMARY KEY,
    event INTEGER NOT NULL,           -- events.id
    reject INTEGER NOT NULL           -- rejects.id
) STRICT, WITHOUT ROWID;

CREATE TABLE publications (
    id INTEGER PRIMARY KEY,
    made_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    state INTEGER NOT NULL,           -- 0 waits, 1 being sent, 2 in doubt
    refusals INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;
