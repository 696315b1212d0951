-- KEYS: jobs, open, ended, claim. ARGV: id, job, created at, ended (1 or 0), most ended jobs.
local id, ended = ARGV[1], ARGV[4] == '1'
-- A worker that lost its claim may tell of a job that another one has ended since.
if not ended and redis.call('ZSCORE', KEYS[3], id) then return end
redis.call('HSET', KEYS[1], id, ARGV[2])
if not ended then
  redis.call('ZADD', KEYS[2], ARGV[3], id)
  return
end
redis.call('ZREM', KEYS[2], id)
redis.call('ZADD', KEYS[3], ARGV[3], id)
if redis.call('HGET', KEYS[4], 'j') == id then redis.call('DEL', KEYS[4]) end
while redis.call('ZCARD', KEYS[3]) > tonumber(ARGV[5]) do
  redis.call('HDEL', KEYS[1], redis.call('ZPOPMIN', KEYS[3])[1])
end
