-- KEYS: endpoints. ARGV: id, endpoint, its revision, channel, tenant.
local now = redis.call('HGET', KEYS[1], ARGV[1])
if not now then return 'missing' end
if cjson.decode(now).revision ~= tonumber(ARGV[3]) - 1 then return 'conflict' end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PUBLISH', ARGV[4], ARGV[5])
return 'yes'
