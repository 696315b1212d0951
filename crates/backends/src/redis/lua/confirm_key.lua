-- KEYS: intake key. ARGV: event id, ttl. Only the first confirmation answers 1.
if redis.call('GET', KEYS[1]) == ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
