-- KEYS: delivery, health, attempts. ARGV: now, generation, attempt (0: none was made), stage,
-- success (1 or 0), http status (may be empty), log line (may be empty), log lines kept,
-- ttl of the delivery, of the log, of the health; failures that open the breaker, how long it is open
-- at first and at most.
local generation, attempt = tonumber(ARGV[2]), tonumber(ARGV[3])
local success = ARGV[5] == '1'
local d = redis.call('HMGET', KEYS[1], 'g', 'a', 's')
local g, a, stage = tonumber(d[1]) or -1, tonumber(d[2]) or 0, d[3]
local known = g > generation
if g == generation then
  local ended = stage == 'dead' or stage == 'discarded'
  -- A success settles its delivery even after another worker's failure was recorded.
  known = stage == 'delivered' or (not success and (ended or (attempt > 0 and a >= attempt)))
end
if known then return {0, tonumber(redis.call('HGET', KEYS[2], 'failing') or 0)} end

if g < generation then
  redis.call('DEL', KEYS[1])
  a = 0
end
redis.call('HDEL', KEYS[1], 'o', 'u', 'r')
redis.call('HSET', KEYS[1], 'g', generation, 's', ARGV[4], 't', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[9])
if attempt == 0 then return {1, tonumber(redis.call('HGET', KEYS[2], 'failing') or 0)} end

redis.call('HSET', KEYS[1], 'a', math.max(a, attempt), 'h', ARGV[6])
redis.call('LPUSH', KEYS[3], ARGV[7])
redis.call('LTRIM', KEYS[3], 0, tonumber(ARGV[8]) - 1)
redis.call('PEXPIRE', KEYS[3], ARGV[10])
local failing = 0
if success then
  failing = tonumber(redis.call('HGET', KEYS[2], 'failing') or 0)
  redis.call('HSET', KEYS[2], 'failing', 0, 'success_at', ARGV[1])
  if failing > 0 then redis.call('HDEL', KEYS[2], 'open', 'openings', 'probe', 'slot') end
  redis.call('HINCRBY', KEYS[2], 'successes', 1)
else
  failing = redis.call('HINCRBY', KEYS[2], 'failing', 1)
  redis.call('HINCRBY', KEYS[2], 'failures', 1)
  redis.call('HSET', KEYS[2], 'failure_at', ARGV[1])
  if failing >= tonumber(ARGV[12]) then
    local open = tonumber(redis.call('HGET', KEYS[2], 'open') or 0)
    if open <= tonumber(ARGV[1]) then
      local openings = redis.call('HINCRBY', KEYS[2], 'openings', 1)
      local wait = math.min(ARGV[13] * 2 ^ math.min(openings - 1, 10), tonumber(ARGV[14]))
      redis.call('HSET', KEYS[2], 'open', string.format('%.0f', ARGV[1] + wait))
      redis.call('HDEL', KEYS[2], 'probe')
    end
  end
end
redis.call('PEXPIRE', KEYS[2], ARGV[11])
return {1, failing}
