-- KEYS: jobs, open, claim. ARGV: worker, ttl. The claim is "JOB|WORKER".
local claim = redis.call('GET', KEYS[3])
local job = claim and string.match(claim, '^[^|]*')
if claim and claim ~= job .. '|' .. ARGV[1] then return false end
job = job or redis.call('ZRANGE', KEYS[2], 0, 0)[1]
if not job then return false end
redis.call('SET', KEYS[3], job .. '|' .. ARGV[1], 'PX', ARGV[2])
return redis.call('HGET', KEYS[1], job)
