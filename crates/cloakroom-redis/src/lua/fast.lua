-- Where the record still is what its sender has built on, as its mark tells, what the sender has
-- made of it is written as it is. Put in front of the commit: what follows is for everything else.
--
-- ARGV ends with: the new bytes, the new deadline ('' as before, '+inf' never), the backstop in
-- milliseconds or '', the record's bytes 1 to 11 as they have to be. Or with '' alone, where the
-- sender builds on nothing.
local n = #ARGV
if ARGV[n] ~= '' and redis.call('GETRANGE', KEYS[1], 1, 11) == ARGV[n] then
  local bytes, at, backstop = ARGV[n - 3], ARGV[n - 2], ARGV[n - 1]
  if at == '' then
    redis.call('SET', KEYS[1], bytes, 'KEEPTTL')
  else
    redis.call('ZADD', KEYS[2], at, ARGV[2])
    if backstop == '' then
      redis.call('SET', KEYS[1], bytes)
    else
      redis.call('SET', KEYS[1], bytes, 'PX', backstop)
    end
  end
  -- See the end of the commit.
  redis.call('EXISTS', KEYS[1])
  return false
end
