-- The queue.

-- What is due, and when, in ms since 1970; what is leased is due at the end of time.
-- kind 0: an event, its bytes in `events`; kind 1: a delivery, its bytes in `deliveries_queued`.
CREATE TABLE queue (
  id     INTEGER PRIMARY KEY,
  kind   INTEGER NOT NULL,
  due_ms INTEGER NOT NULL,
  leases INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX queue_by_due ON queue (kind, due_ms);

-- Every event that was taken in. Those that are not in the queue any more are the archive.
CREATE TABLE events (
  id              INTEGER PRIMARY KEY,
  accepted_ms     INTEGER NOT NULL,
  idempotency_key TEXT,
  trace           TEXT,
  body            BLOB NOT NULL
);
CREATE INDEX events_by_time ON events (accepted_ms);

CREATE TABLE deliveries_queued (
  id   INTEGER PRIMARY KEY,
  body BLOB NOT NULL
);

-- The dead letters themselves; `dead_letters` is the view of them.
CREATE TABLE dead (
  id     INTEGER PRIMARY KEY AUTOINCREMENT,
  letter BLOB NOT NULL
);

-- The store.

CREATE TABLE endpoints (
  tenant   TEXT NOT NULL,
  id       TEXT NOT NULL,
  revision INTEGER NOT NULL,
  record   BLOB NOT NULL,
  PRIMARY KEY (tenant, id)
) WITHOUT ROWID;

-- Of a token itself only its digest is known.
CREATE TABLE tokens (
  tenant  TEXT NOT NULL,
  id      TEXT NOT NULL,
  digest  TEXT NOT NULL UNIQUE,
  record  TEXT NOT NULL,
  used_ms INTEGER,
  PRIMARY KEY (tenant, id)
) WITHOUT ROWID;

CREATE TABLE health (
  endpoint   TEXT PRIMARY KEY,
  failing    INTEGER NOT NULL,
  successes  INTEGER NOT NULL,
  failures   INTEGER NOT NULL,
  success_ms INTEGER,
  failure_ms INTEGER,
  expires_ms INTEGER NOT NULL,
  -- The breaker and the rate.
  open_ms    INTEGER,
  openings   INTEGER NOT NULL DEFAULT 0,
  probe_ms   INTEGER,
  slot_ms    INTEGER,
  next_us    INTEGER NOT NULL DEFAULT 0,
  deferred   INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

-- A ring for each endpoint: the n-th attempt takes the place of an older one.
CREATE TABLE attempts (
  endpoint   TEXT NOT NULL,
  place      INTEGER NOT NULL,
  n          INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL,
  record     TEXT NOT NULL,
  PRIMARY KEY (endpoint, place)
) WITHOUT ROWID;

CREATE TABLE idempotency_keys (
  key        TEXT NOT NULL,
  tenant     TEXT NOT NULL,
  event      TEXT NOT NULL,
  confirmed  INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL,
  PRIMARY KEY (key, tenant)
) WITHOUT ROWID;

CREATE TABLE known_events (
  event        TEXT PRIMARY KEY,
  tenant       TEXT NOT NULL,
  type         TEXT NOT NULL,
  project      TEXT,
  timestamp_ms INTEGER NOT NULL,
  accepted_ms  INTEGER NOT NULL,
  fanned_out   INTEGER NOT NULL,
  expires_ms   INTEGER NOT NULL
) WITHOUT ROWID;

-- Without a generation it is planned, and no worker was at its gate yet.
CREATE TABLE deliveries (
  event          TEXT NOT NULL,
  endpoint       TEXT NOT NULL,
  generation     INTEGER,
  attempt        INTEGER NOT NULL DEFAULT 0,
  stage          TEXT NOT NULL DEFAULT 'pending',
  http_status    INTEGER,
  owner          TEXT,
  lease_until_ms INTEGER,
  updated_ms     INTEGER,
  expires_ms     INTEGER NOT NULL,
  -- The time that the endpoint's rate has for it.
  reserved_ms    INTEGER,
  PRIMARY KEY (event, endpoint)
) WITHOUT ROWID;

CREATE TABLE dead_letters (
  id         TEXT PRIMARY KEY,
  died_ms    INTEGER NOT NULL,
  tenant     TEXT,
  endpoint   TEXT,
  event_type TEXT,
  reason     TEXT NOT NULL,
  letter     BLOB NOT NULL
);
-- Holds all that is filtered by: no letter is read to be counted.
CREATE INDEX dead_letters_by_time
  ON dead_letters (died_ms, id, tenant, endpoint, event_type, reason);

CREATE TABLE jobs (
  id         TEXT PRIMARY KEY,
  created_ms INTEGER NOT NULL,
  ended      INTEGER NOT NULL,
  record     TEXT NOT NULL
);
CREATE INDEX jobs_by_time ON jobs (ended, created_ms);

-- The one job that is claimed.
CREATE TABLE job_claim (
  one      INTEGER PRIMARY KEY CHECK (one = 1),
  job      TEXT NOT NULL,
  worker   TEXT NOT NULL,
  until_ms INTEGER NOT NULL
);

-- A row to change when nothing else has to be, to see whether that works.
CREATE TABLE probe (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  at_ms INTEGER NOT NULL
);
