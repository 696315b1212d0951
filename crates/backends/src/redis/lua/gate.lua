-- KEYS: delivery. ARGV: now, generation, attempt, owner, lease until, owner known to be gone, ttl.
local d = redis.call('HMGET', KEYS[1], 'g', 'a', 's', 'o', 'u')
local now, generation, attempt = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local g = tonumber(d[1]) or -1
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
end
local stage = attempt > 1 and 'retrying' or 'pending'
redis.call('HSET', KEYS[1], 'g', generation, 's', stage, 'o', ARGV[4], 'u', ARGV[5], 't', now)
redis.call('PEXPIRE', KEYS[1], ARGV[7])
return {'go'}
