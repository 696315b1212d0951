-- KEYS: delivery. ARGV: generation, stage, ttl, "new" if the generation must be a new one.
local g = tonumber(redis.call('HGET', KEYS[1], 'g')) or -1
local generation = tonumber(ARGV[1])
if g > generation or (ARGV[4] == 'new' and g == generation) then return 0 end
if g < generation then redis.call('DEL', KEYS[1]) end
redis.call('HSET', KEYS[1], 'g', generation, 's', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
