-- Many attempts at the gate of one endpoint. KEYS: health of the endpoint, then each delivery. ARGV:
-- pace after the breaker in ms, how far ahead in ms, ttl of the health, head start of the first after
-- the breaker in ms; then for each delivery: now, generation, attempt, owner, lease until, owner known
-- to be gone, ttl, until when it waits for the breaker (0: not at all), the rate's interval in us (0:
-- none). Answers three texts for each: what, whose lease, until when.
-- The breaker and the rate decide as domain::Throttle does.
local stagger, horizon = tonumber(ARGV[1]), tonumber(ARGV[2])
local health_ttl, head_start = ARGV[3], tonumber(ARGV[4])
local health, open, probe, last_slot, next_us, touched, deferred = nil, nil, nil, nil, nil, false, 0
local answers = {}

local function read_health()
  if health then return end
  health = redis.call('HMGET', KEYS[1], 'open', 'probe', 'slot', 'next')
  open, probe = tonumber(health[1]), tonumber(health[2])
  last_slot, next_us = tonumber(health[3]) or 0, tonumber(health[4]) or 0
end

local function text(number) return string.format('%.0f', number) end

-- When to come, and whether that time is the rate's; nothing: now.
local function held(now, lease_until, patient, interval, reserved)
  if patient == 0 and interval == 0 then return end
  read_health()
  if open and patient > 0 then
    local over = math.max(open, probe or open)
    if now >= over then
      probe = lease_until
      redis.call('HSET', KEYS[1], 'probe', text(probe))
    else
      local step, second = math.max(stagger, math.floor(interval / 1000)), over + head_start
      local slot
      if last_slot < over then
        slot = over
      elseif last_slot + step > over + horizon then
        slot = second
      else
        slot = math.max(last_slot + step, second)
      end
      if slot <= patient then
        last_slot, touched = slot, true
        return slot, 'breaker', 0
      end
    end
  end
  if interval > 0 then
    if reserved and reserved > now then return reserved, 'rate', reserved end
    if not reserved or reserved == 0 then
      local given = math.max(next_us, now * 1000)
      next_us, touched = given + interval, true
      given = math.ceil(given / 1000)
      if given > now then return given, 'rate', given end
    end
  end
end

local function enter(key, a)
  local d = redis.call('HMGET', key, 'g', 'a', 's', 'o', 'u', 'r')
  local now, generation, attempt = tonumber(ARGV[a]), tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2])
  local g, reserved = tonumber(d[1]) or -1, tonumber(d[6])
  if g > generation then return 'skip', '', '' end
  if g == generation then
    local stage = d[3]
    if stage == 'delivered' or stage == 'dead' or stage == 'discarded' then return 'skip', '', '' end
    if (tonumber(d[2]) or 0) >= attempt then return 'skip', '', '' end
    -- An owner's own lease counts, too: the attempt is still being made in that process.
    if d[4] and (tonumber(d[5]) or 0) > now and d[4] ~= ARGV[a + 5] then return 'wait', d[4], d[5] end
  elseif g >= 0 or d[3] then
    redis.call('DEL', key)
    reserved = nil
  end
  local stage = attempt > 1 and 'retrying' or 'pending'
  local till, why, keep = held(now, tonumber(ARGV[a + 4]), tonumber(ARGV[a + 7]), tonumber(ARGV[a + 8]), reserved)
  if till then
    deferred = deferred + 1
    redis.call('HDEL', key, 'o', 'u')
    redis.call('HSET', key, 'g', generation, 's', stage, 't', now, 'r', text(keep))
    redis.call('PEXPIRE', key, text(ARGV[a + 6] + till - now))
    return why, '', text(till)
  end
  redis.call('HSET', key, 'g', generation, 's', stage, 'o', ARGV[a + 3], 'u', ARGV[a + 4], 't', now)
  if reserved then redis.call('HDEL', key, 'r') end
  redis.call('PEXPIRE', key, ARGV[a + 6])
  return 'go', '', ''
end

for n = 2, #KEYS do
  local what, whose, till = enter(KEYS[n], 5 + (n - 2) * 9)
  answers[#answers + 1] = what
  answers[#answers + 1] = whose
  answers[#answers + 1] = till
end
if touched or deferred > 0 then
  redis.call('HSET', KEYS[1], 'slot', text(last_slot), 'next', text(next_us))
  if deferred > 0 then redis.call('HINCRBY', KEYS[1], 'deferred', deferred) end
  redis.call('PEXPIRE', KEYS[1], health_ttl)
end
return answers
