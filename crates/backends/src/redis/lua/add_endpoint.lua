-- KEYS: endpoints. ARGV: id, endpoint, most endpoints, channel, tenant.
-- The same endpoint again is a repeated write, for which there is always room.
local known = redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1
if not known and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) then return 'full' end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PUBLISH', ARGV[4], ARGV[5])
return 'yes'
