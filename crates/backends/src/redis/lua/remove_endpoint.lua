-- KEYS: endpoints. ARGV: id, channel, tenant. Removed and announced at once, so that no worker
-- goes on with an endpoint whose removal nobody announced.
local removed = redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('PUBLISH', ARGV[2], ARGV[3])
return removed
