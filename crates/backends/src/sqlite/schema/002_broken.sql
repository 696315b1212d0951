-- Endpoints whose breaker is not closed: few, and asked for every few seconds.
CREATE INDEX health_broken ON health (failure_ms) WHERE open_ms IS NOT NULL;
