-- KEYS: delivery, health of its endpoint. ARGV: now, generation, attempt, owner, lease until, owner
-- known to be gone, ttl, until when it waits for the breaker (0: not at all), the rate's interval in
-- us (0: none), pace after the breaker in ms, how far ahead in ms, ttl of the health, head start
-- of the first after the breaker in ms.
-- The breaker and the rate decide as domain::Throttle does.
local d = redis.call('HMGET', KEYS[1], 'g', 'a', 's', 'o', 'u', 'r')
local now, generation, attempt = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local g, reserved = tonumber(d[1]) or -1, tonumber(d[6])
if g > generation then return {'skip'} end
if g == generation then
  local stage = d[3]
  if stage == 'delivered' or stage == 'dead' or stage == 'discarded' then return {'skip'} end
  if (tonumber(d[2]) or 0) >= attempt then return {'skip'} end
  -- An owner's own lease counts, too: the attempt is still being made in that process.
  local lease_until = tonumber(d[5]) or 0
  if d[4] and lease_until > now and d[4] ~= ARGV[6] then return {'wait', d[4], d[5]} end
else
  redis.call('DEL', KEYS[1])
  reserved = nil
end
local stage = attempt > 1 and 'retrying' or 'pending'

-- Held, it has no lease; 0 stands for no reserved time.
local function hold(why, till, keep)
  redis.call('HDEL', KEYS[1], 'o', 'u')
  redis.call('HSET', KEYS[1], 'g', generation, 's', stage, 't', now, 'r', keep)
  redis.call('PEXPIRE', KEYS[1], ARGV[7] + till - now)
  redis.call('HINCRBY', KEYS[2], 'deferred', 1)
  redis.call('PEXPIRE', KEYS[2], ARGV[12])
  return {why, '', string.format('%.0f', till)}
end

local patient, interval = tonumber(ARGV[8]), tonumber(ARGV[9])
if patient > 0 or interval > 0 then
  local h = redis.call('HMGET', KEYS[2], 'open', 'probe', 'slot', 'next')
  local open = tonumber(h[1])
  if open and patient > 0 then
    local over = math.max(open, tonumber(h[2]) or open)
    if now >= over then
      redis.call('HSET', KEYS[2], 'probe', ARGV[5])
    else
      local step = math.max(tonumber(ARGV[10]), math.floor(interval / 1000))
      local slot, second = tonumber(h[3]) or 0, over + tonumber(ARGV[13])
      if slot < over then
        slot = over
      elseif slot + step > over + tonumber(ARGV[11]) then
        slot = second
      else
        slot = math.max(slot + step, second)
      end
      if slot <= patient then
        redis.call('HSET', KEYS[2], 'slot', string.format('%.0f', slot))
        return hold('breaker', slot, 0)
      end
    end
  end
  if interval > 0 then
    if reserved and reserved > now then return hold('rate', reserved, reserved) end
    if not reserved or reserved == 0 then
      local given = math.max(tonumber(h[4]) or 0, now * 1000)
      redis.call('HSET', KEYS[2], 'next', string.format('%.0f', given + interval))
      redis.call('PEXPIRE', KEYS[2], ARGV[12])
      given = math.ceil(given / 1000)
      if given > now then return hold('rate', given, given) end
    end
  end
end
redis.call('HSET', KEYS[1], 'g', generation, 's', stage, 'o', ARGV[4], 'u', ARGV[5], 't', now)
if reserved then redis.call('HDEL', KEYS[1], 'r') end
redis.call('PEXPIRE', KEYS[1], ARGV[7])
return {'go'}
