-- Gives seats up, each only where it is as it was when the caller decided so. What is left of a
-- principal without sessions goes after a day: until then a bar must be remembered.
--
-- KEYS: the principal's seats. ARGV: name, value, name, value, ...; the value 'p' is any pending one.
local call = redis.call
local removed = 0
for at = 1, #ARGV, 2 do
  local held, value = call('HGET', KEYS[1], ARGV[at]), ARGV[at + 1]
  if held and (held == value or value == 'p' and string.byte(held) == 112) then
    removed = removed + call('HDEL', KEYS[1], ARGV[at])
  end
end
if removed > 0 and call('HLEN', KEYS[1]) == 1 and call('HEXISTS', KEYS[1], '') == 1 then
  call('PEXPIRE', KEYS[1], 86400000)
end
return removed
