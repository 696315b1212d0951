-- KEYS: jobs, open, claim. ARGV: worker, now, until. The claim: j job, w worker, u until.
local claim = redis.call('HMGET', KEYS[3], 'j', 'w', 'u')
local own = claim[2] == ARGV[1]
if claim[1] and not own and tonumber(claim[3]) > tonumber(ARGV[2]) then return false end
local job = own and claim[1] or redis.call('ZRANGE', KEYS[2], 0, 0)[1]
if not job then return false end
redis.call('HSET', KEYS[3], 'j', job, 'w', ARGV[1], 'u', ARGV[3])
return redis.call('HGET', KEYS[1], job)
