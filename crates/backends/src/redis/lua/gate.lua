-- Many attempts at the gate. KEYS: the health of each endpoint, then each delivery and its event as a
-- worker began with it. ARGV: how many endpoints, now, pace after the breaker in ms, how far ahead in ms,
-- ttl of the health, head start of the first after the breaker in ms; then for each delivery: its
-- endpoint's number, what it is once it is claimed, ttl, the rate's interval in us (0: none), and
-- "ATTEMPT PATIENT GONE": until when it waits for the breaker (0: not at all), and an owner known to be
-- gone ("-": none).
-- A delivery is "GENERATION ATTEMPT STAGE OWNER UNTIL RESERVED TIME STATUS": the attempt last settled,
-- whose lease it is until when, the time that the rate gave it, the last answer's status.
-- An event that a worker began with is a line about it, a line "OWNER UNTIL", and the endpoints that it is
-- for: a "+" stands before those whose first attempts are leased to that owner until then.
-- Answers for each: 1 (go), 0 (skip), or a text: why it must wait, and "OWNER UNTIL" or "UNTIL".
-- The breaker and the rate decide as domain::Throttle does.
local call, match = redis.call, string.match
local now = tonumber(ARGV[2])
local stagger, horizon = tonumber(ARGV[3]), tonumber(ARGV[4])
local health_ttl, head_start = ARGV[5], tonumber(ARGV[6])
local endpoints, answers = {}, {}

local function text(number) return string.format('%.0f', number) end

for n = 1, tonumber(ARGV[1]) do
  local health = call('HMGET', KEYS[n], 'open', 'probe', 'slot', 'next')
  endpoints[n] = {
    key = KEYS[n], id = match(KEYS[n], '{(.-)}'), open = tonumber(health[1]), probe = tonumber(health[2]),
    last_slot = tonumber(health[3]) or 0, next_us = tonumber(health[4]) or 0, deferred = 0,
  }
end

-- When to come, whether that time is the rate's, and what it reserves; nothing: now.
local function held(at, lease_until, patient, interval, reserved)
  if at.open and patient > 0 then
    local over = math.max(at.open, at.probe or at.open)
    if now >= over then
      at.probe = lease_until
      call('HSET', at.key, 'probe', text(at.probe))
    else
      local step, second = math.max(stagger, math.floor(interval / 1000)), over + head_start
      local slot
      if at.last_slot < over then
        slot = over
      elseif at.last_slot + step > over + horizon then
        slot = second
      else
        slot = math.max(at.last_slot + step, second)
      end
      if slot <= patient then
        at.last_slot, at.touched = slot, true
        return slot, 'breaker', 0
      end
    end
  end
  if interval > 0 then
    if reserved > now then return reserved, 'rate', reserved end
    if reserved == 0 then
      local given = math.max(at.next_us, now * 1000)
      at.next_us, at.touched = given + interval, true
      given = math.ceil(given / 1000)
      if given > now then return given, 'rate', given end
    end
  end
end

-- Is its first attempt leased since its event was begun? Once it is settled, the delivery itself is known.
local function leased_before(event, at, generation, gone)
  local begun = generation == '0' and call('GET', event)
  if not begun then return end
  local owner, till = match(begun, '\n(%S+) (%d+)\n')
  if not owner or owner == gone or tonumber(till) <= now then return end
  if string.find(begun, '+' .. at.id .. ' ', 1, true) then return 'wait ' .. owner .. ' ' .. till end
end

-- One that is known, or must perhaps wait.
local function look(key, event, at, claim, ttl, interval, more)
  local attempt, patient, gone = match(more, '^(%d+) (%d+) (%S+)$')
  local generation, _, stage, owner, lease_until = match(claim, '^(%d+) (%d+) (%a+) (%S+) (%d+)')
  local known = call('GET', key)
  local settled, reserved, status = '0', 0, '0'
  if not known then
    local leased = leased_before(event, at, generation, gone)
    if leased then return leased end
  else
    local g, a, s, o, u, r, _, h =
      match(known, '^(%d+) (%d+) (%a+) (%S+) (%d+) (%d+) (%d+) (%d+)$')
    g = tonumber(g)
    if g > tonumber(generation) then return 0 end
    if g == tonumber(generation) then
      if s == 'delivered' or s == 'dead' or s == 'discarded' then return 0 end
      if tonumber(a) >= tonumber(attempt) then return 0 end
      -- An owner's own lease counts, too: the attempt is still being made in that process.
      if o ~= '-' and tonumber(u) > now and o ~= gone then return 'wait ' .. o .. ' ' .. u end
      settled, reserved, status = a, tonumber(r), h
    end
  end
  local till, why, keep = held(at, tonumber(lease_until), tonumber(patient), interval, reserved)
  if till then
    at.deferred = at.deferred + 1
    local waits = {generation, settled, stage, '-', '0', text(keep), ARGV[2], status}
    call('SET', key, table.concat(waits, ' '), 'PX', text(ttl + till - now))
    return why .. ' ' .. text(till)
  end
  local leased = {generation, settled, stage, owner, lease_until, '0', ARGV[2], status}
  call('SET', key, table.concat(leased, ' '), 'PX', ttl)
  return 1
end

local function enter(key, event, a)
  local at, claim, ttl, interval = endpoints[tonumber(ARGV[a])], ARGV[a + 1], ARGV[a + 2], tonumber(ARGV[a + 3])
  -- What most are: not known, and held by nothing.
  if not at.open and interval == 0 and call('SET', key, claim, 'NX', 'PX', ttl) then
    local leased = leased_before(event, at, match(claim, '^%d+'), match(ARGV[a + 4], '%S+$'))
    if leased then call('DEL', key) end
    return leased or 1
  end
  return look(key, event, at, claim, ttl, interval, ARGV[a + 4])
end

for n = 1, (#KEYS - #endpoints) / 2 do
  local k = #endpoints + 2 * n
  answers[n] = enter(KEYS[k - 1], KEYS[k], 7 + (n - 1) * 5)
end
for _, at in ipairs(endpoints) do
  if at.touched or at.deferred > 0 then
    call('HSET', at.key, 'slot', text(at.last_slot), 'next', text(at.next_us))
    if at.deferred > 0 then call('HINCRBY', at.key, 'deferred', at.deferred) end
    call('PEXPIRE', at.key, health_ttl)
  end
end
return answers
