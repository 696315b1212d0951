-- Counts over time: of each tenant, and of the whole fleet under `*`, which is no tenant's name.
CREATE TABLE tallies (
  tenant       TEXT NOT NULL,
  step_ms      INTEGER NOT NULL,
  at_ms        INTEGER NOT NULL,
  events       INTEGER NOT NULL,
  delivered    INTEGER NOT NULL,
  failed       INTEGER NOT NULL,
  dead_letters INTEGER NOT NULL,
  duration_ms  INTEGER NOT NULL,
  expires_ms   INTEGER NOT NULL,
  PRIMARY KEY (tenant, step_ms, at_ms)
) WITHOUT ROWID;
CREATE INDEX tallies_by_expiry ON tallies (expires_ms);

-- By the hour.
CREATE TABLE endpoint_tallies (
  tenant      TEXT NOT NULL,
  at_ms       INTEGER NOT NULL,
  endpoint    TEXT NOT NULL,
  attempts    INTEGER NOT NULL,
  failures    INTEGER NOT NULL,
  duration_ms INTEGER NOT NULL,
  expires_ms  INTEGER NOT NULL,
  PRIMARY KEY (tenant, at_ms, endpoint)
) WITHOUT ROWID;
CREATE INDEX endpoint_tallies_by_expiry ON endpoint_tallies (expires_ms);
