-- KEYS: jobs, open, claim. ARGV: worker, now, until, version. The claim: j job, w worker, u until.
-- Jobs of a later version are left to workers that know it.
local claim = redis.call('HMGET', KEYS[3], 'j', 'w', 'u')
local own = claim[2] == ARGV[1]
if claim[1] and not own and tonumber(claim[3]) > tonumber(ARGV[2]) then return false end
local jobs = own and { claim[1] } or redis.call('ZRANGE', KEYS[2], 0, -1)
for _, job in ipairs(jobs) do
  local record = redis.call('HGET', KEYS[1], job)
  if not record or (cjson.decode(record).v or 1) <= tonumber(ARGV[4]) then
    redis.call('HSET', KEYS[3], 'j', job, 'w', ARGV[1], 'u', ARGV[3])
    return record
  end
end
return false
