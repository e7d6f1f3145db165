-- Leases endings of one bucket to the caller.
--
-- KEYS: the bucket's leases, its endings.
-- ARGV: now, until when, how many at most.
-- Answers: key, ending, key, ending, ...
local call = redis.call
local leased = {}
local lapsed = call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])
for _, key in ipairs(lapsed) do
  local ending = call('HGET', KEYS[2], key)
  if ending then
    call('ZADD', KEYS[1], ARGV[2], key)
    leased[#leased + 1] = key
    leased[#leased + 1] = ending
  else
    call('ZREM', KEYS[1], key)
  end
end
return leased
