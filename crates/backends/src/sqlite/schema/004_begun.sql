-- Whom an event is for, as it was begun: ids with a space between. Those that came later are in
-- `deliveries` alone; those that were begun there, too, once a worker was at their gate or settled them.
ALTER TABLE known_events ADD COLUMN endpoints TEXT;
