-- Many settled attempts. KEYS: health and attempts of each endpoint, then each delivery. ARGV: how many
-- endpoints, now, log lines kept, ttl of the log, ttl of the health, how old what was said of an endpoint
-- may be until both are given anew, failures that open the breaker, how long it is open at first and at
-- most; then for each delivery: its endpoint's number, generation, attempt (0: none was made), stage,
-- http status (0: none), log line (may be empty), ttl. What a delivery is: see gate.lua. Only who is
-- delivered succeeded. Answers two numbers for each: was it counted (1 or 0), and the failures in a row
-- (after a success: those before it).
local call, match = redis.call, string.match
local now = tonumber(ARGV[2])
local kept, opens_after = tonumber(ARGV[3]), tonumber(ARGV[7])
local endpoints, answers = {}, {}

for n = 1, tonumber(ARGV[1]) do
  local key = KEYS[2 * n - 1]
  local health = call('HMGET', key, 'failing', 'successes', 'failures', 'success_at', 'failure_at')
  endpoints[n] = {
    key = key, log = KEYS[2 * n], lines = {}, failing = tonumber(health[1]) or 0,
    successes = tonumber(health[2]) or 0, failures = tonumber(health[3]) or 0,
    heard_of = math.max(tonumber(health[4]) or 0, tonumber(health[5]) or 0),
  }
end

local function failed(at)
  at.failing, at.failures, at.failure_at = at.failing + 1, at.failures + 1, ARGV[2]
  if at.failing < opens_after then return end
  local open = tonumber(call('HGET', at.key, 'open') or 0)
  if open > now then return end
  local openings = call('HINCRBY', at.key, 'openings', 1)
  local wait = math.min(ARGV[8] * 2 ^ math.min(openings - 1, 10), tonumber(ARGV[9]))
  call('HSET', at.key, 'open', string.format('%.0f', now + wait))
  call('HDEL', at.key, 'probe')
end

local function succeeded(at)
  if at.failing > 0 then call('HDEL', at.key, 'open', 'openings', 'probe', 'slot') end
  at.failing, at.successes, at.success_at = 0, at.successes + 1, ARGV[2]
end

local function value(generation, settled, stage, status)
  return generation .. ' ' .. settled .. ' ' .. stage .. ' - 0 0 ' .. ARGV[2] .. ' ' .. status
end

-- What most are, delivered: not known, for they were leased with their event; or known from the gate alone,
-- whose expiry is as good as a new one. What was something else is put back.
local function deliver(key, generation, delivered, ttl)
  if call('SET', key, delivered, 'NX', 'PX', ttl) then return true end
  local known = call('SET', key, delivered, 'KEEPTTL', 'GET')
  if match(known, '^(%d+) 0 pending ') == generation then return true end
  call('SET', key, known, 'KEEPTTL')
  return false
end

local function settle(key, generation, attempt, stage, status, ttl)
  local success, made, settled = stage == 'delivered', attempt ~= '0', attempt
  local known = call('GET', key)
  if known then
    local g, a, s = match(known, '^(%d+) (%d+) (%a+)')
    if tonumber(g) > tonumber(generation) then return false end
    if g == generation then
      local ended = s == 'dead' or s == 'discarded'
      -- A success settles its delivery even after another worker's failure was recorded.
      if s == 'delivered' or (not success and (ended or (made and tonumber(a) >= tonumber(attempt)))) then
        return false
      end
      if tonumber(a) > tonumber(attempt) then settled = a end
      if not made then status = match(known, '%d+$') end
    end
  end
  call('SET', key, value(generation, settled, stage, status), 'PX', ttl)
  return true
end

local function record(key, v)
  local at, generation, attempt = endpoints[tonumber(ARGV[v])], ARGV[v + 1], ARGV[v + 2]
  local stage, status, ttl = ARGV[v + 3], ARGV[v + 4], ARGV[v + 6]
  local success = stage == 'delivered'
  local done = success and deliver(key, generation, value(generation, attempt, stage, status), ttl)
  if not done and not settle(key, generation, attempt, stage, status, ttl) then return 0, at.failing end
  if attempt == '0' then return 1, at.failing end
  at.lines[#at.lines + 1] = ARGV[v + 5]
  local before = at.failing
  if success then succeeded(at) else failed(at) end
  return 1, success and before or at.failing
end

for n = 1, #KEYS - 2 * #endpoints do
  local first, count = record(KEYS[2 * #endpoints + n], 10 + (n - 1) * 7)
  answers[#answers + 1] = first
  answers[#answers + 1] = count
end
for _, at in ipairs(endpoints) do
  if #at.lines > 0 then
    local length = call('LPUSH', at.log, unpack(at.lines))
    -- A few more than are kept: cutting each time would cost as much as adding.
    if length > kept * 1.25 then call('LTRIM', at.log, 0, kept - 1) end
    local told = {'failing', at.failing}
    if at.success_at then told[3], told[4], told[5], told[6] = 'success_at', at.success_at, 'successes', at.successes end
    if at.failure_at then
      local n = #told
      told[n + 1], told[n + 2], told[n + 3], told[n + 4] = 'failure_at', at.failure_at, 'failures', at.failures
    end
    call('HSET', at.key, unpack(told))
    if length == #at.lines or now - at.heard_of > tonumber(ARGV[6]) then
      call('PEXPIRE', at.log, ARGV[4])
      call('PEXPIRE', at.key, ARGV[5])
    end
  end
end
return answers
