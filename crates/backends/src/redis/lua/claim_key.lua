-- KEYS: intake key. ARGV: candidate, ttl.
local now = redis.call('GET', KEYS[1])
if now then return now end
local claimed = 'pending:' .. ARGV[1]
redis.call('SET', KEYS[1], claimed, 'PX', ARGV[2])
return claimed
