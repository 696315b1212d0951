-- KEYS: delivery. ARGV: generation, stage, ttl, "new" if the generation must be a new one.
local d = redis.call('HMGET', KEYS[1], 'g', 's')
local g, generation = tonumber(d[1]) or -1, tonumber(ARGV[1])
if g > generation then return 0 end
-- A success that came after its delivery was given up is not taken back.
if g == generation and (ARGV[4] == 'new' or d[2] == 'delivered') then return 0 end
if g < generation then redis.call('DEL', KEYS[1]) end
redis.call('HSET', KEYS[1], 'g', generation, 's', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
