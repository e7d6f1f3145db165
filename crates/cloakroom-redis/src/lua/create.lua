-- Stores a new record where there is none, or one that is over.
--
-- KEYS: the record, its bucket's deadlines.
-- ARGV: now, the key's bytes, the record's bytes, its deadline or '+inf', the backstop in
--       milliseconds or ''.
-- Answers: 1 done; {1, bytes} done, in the place of these; -1 there is one; {2, bytes} unreadable.
local call = redis.call
local bytes = call('GET', KEYS[1])
if bytes then
  local r = read(bytes)
  if not r then return {2, bytes} end
  local over = deadline(r)
  if not over or over > tonumber(ARGV[1]) then return -1 end
end
call('ZADD', KEYS[2], ARGV[4], ARGV[2])
if ARGV[5] == '' then
  call('SET', KEYS[1], ARGV[3])
else
  call('SET', KEYS[1], ARGV[3], 'PX', ARGV[5])
end
return bytes and {1, bytes} or 1
