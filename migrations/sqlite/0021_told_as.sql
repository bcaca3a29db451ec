-- The id receivers know an alert by, when it is not its present one: evidence that came late renames
-- an alert, and whoever was told of it before must hear of it under the same id ever after.

ALTER TABLE alerts ADD COLUMN told_as TEXT;
CREATE UNIQUE INDEX alerts_told_as ON alerts (told_as) WHERE told_as IS NOT NULL;
