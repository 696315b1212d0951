-- Many settled attempts of one endpoint. KEYS: health, attempts, then each delivery. ARGV: log lines
-- kept, ttl of the log, ttl of the health, failures that open the breaker, how long it is open at first
-- and at most; then for each delivery: now, generation, attempt (0: none was made), stage, success (1
-- or 0), http status (may be empty), log line (may be empty), ttl. Answers two numbers for each: was it
-- counted (1 or 0), and the failures in a row (after a success: those before it).
local health = redis.call('HMGET', KEYS[1], 'failing', 'successes', 'failures')
local failing, successes, failures = tonumber(health[1]) or 0, tonumber(health[2]) or 0, tonumber(health[3]) or 0
local success_at, failure_at
local answers, lines = {}, {}

local function failed(now)
  failing, failures, failure_at = failing + 1, failures + 1, now
  if failing < tonumber(ARGV[4]) then return end
  local open = tonumber(redis.call('HGET', KEYS[1], 'open') or 0)
  if open > tonumber(now) then return end
  local openings = redis.call('HINCRBY', KEYS[1], 'openings', 1)
  local wait = math.min(ARGV[5] * 2 ^ math.min(openings - 1, 10), tonumber(ARGV[6]))
  redis.call('HSET', KEYS[1], 'open', string.format('%.0f', now + wait))
  redis.call('HDEL', KEYS[1], 'probe')
end

local function succeeded(now)
  if failing > 0 then redis.call('HDEL', KEYS[1], 'open', 'openings', 'probe', 'slot') end
  failing, successes, success_at = 0, successes + 1, now
end

local function record(key, v)
  local now, generation, attempt = ARGV[v], tonumber(ARGV[v + 1]), tonumber(ARGV[v + 2])
  local success = ARGV[v + 4] == '1'
  local d = redis.call('HMGET', key, 'g', 'a', 's')
  local g, a, stage = tonumber(d[1]) or -1, tonumber(d[2]) or 0, d[3]
  local known = g > generation
  if g == generation then
    local ended = stage == 'dead' or stage == 'discarded'
    -- A success settles its delivery even after another worker's failure was recorded.
    known = stage == 'delivered' or (not success and (ended or (attempt > 0 and a >= attempt)))
  end
  if known then return 0, failing end
  -- What is delivered is looked at no more: its lease and its expiry, from the gate, may stay.
  local delivered = ARGV[v + 3] == 'delivered' and g == generation
  if g < generation then
    if g >= 0 or stage then redis.call('DEL', key) end
    a = 0
  elseif not delivered then
    redis.call('HDEL', key, 'o', 'u', 'r')
  end
  if attempt == 0 then
    redis.call('HSET', key, 'g', generation, 's', ARGV[v + 3], 't', now)
  else
    redis.call('HSET', key, 'g', generation, 's', ARGV[v + 3], 't', now,
      'a', math.max(a, attempt), 'h', ARGV[v + 5])
  end
  if not delivered then redis.call('PEXPIRE', key, ARGV[v + 7]) end
  if attempt == 0 then return 1, failing end
  lines[#lines + 1] = ARGV[v + 6]
  local before = failing
  if success then succeeded(now) else failed(now) end
  return 1, success and before or failing
end

for n = 3, #KEYS do
  local first, count = record(KEYS[n], 7 + (n - 3) * 8)
  answers[#answers + 1] = first
  answers[#answers + 1] = count
end
if #lines > 0 then
  local kept = tonumber(ARGV[1])
  if redis.call('LPUSH', KEYS[2], unpack(lines)) > kept then redis.call('LTRIM', KEYS[2], 0, kept - 1) end
  redis.call('PEXPIRE', KEYS[2], ARGV[2])
  local now = {'failing', failing}
  if success_at then now[3], now[4], now[5], now[6] = 'success_at', success_at, 'successes', successes end
  if failure_at then
    local n = #now
    now[n + 1], now[n + 2], now[n + 3], now[n + 4] = 'failure_at', failure_at, 'failures', failures
  end
  redis.call('HSET', KEYS[1], unpack(now))
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return answers
