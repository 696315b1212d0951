-- KEYS: jobs, open, ended, claim. ARGV: id, job, created at, ended (1 or 0), most ended jobs.
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
if ARGV[4] == '0' then
  redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
  return
end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZADD', KEYS[3], ARGV[3], ARGV[1])
local claim = redis.call('GET', KEYS[4])
if claim and string.match(claim, '^[^|]*') == ARGV[1] then redis.call('DEL', KEYS[4]) end
while redis.call('ZCARD', KEYS[3]) > tonumber(ARGV[5]) do
  redis.call('HDEL', KEYS[1], redis.call('ZPOPMIN', KEYS[3])[1])
end
