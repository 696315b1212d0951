-- KEYS: delivery. ARGV: generation, stage, ttl, "new" if the generation must be a new one. What a
-- delivery is: see gate.lua.
local known = redis.call('GET', KEYS[1])
local settled, rest = '0', '- 0 0 0 0'
if known then
  local g, a, s, r = string.match(known, '^(%d+) (%d+) (%a+) (.+)$')
  if tonumber(g) > tonumber(ARGV[1]) then return 0 end
  -- A success that came after its delivery was given up is not taken back.
  if g == ARGV[1] then
    if ARGV[4] == 'new' or s == 'delivered' then return 0 end
    settled, rest = a, r
  end
end
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. settled .. ' ' .. ARGV[2] .. ' ' .. rest, 'PX', ARGV[3])
return 1
