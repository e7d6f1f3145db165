-- Writes what the sender has made of a record, where the record still is what that was built on, as
-- its mark tells. Anything else is the commit's work.
--
-- KEYS: the record, its bucket's deadlines; the second where the deadline is another one.
-- ARGV: the record's bytes 1 to 11 as they have to be, the new bytes; and where the deadline is
--       another one: the key's bytes, the new deadline or '+inf', the backstop in milliseconds or ''.
-- Answers: 1 done; 0 it is another record by now, or none.
local call = redis.call
if call('GETRANGE', KEYS[1], 1, 11) ~= ARGV[1] then return 0 end
if not KEYS[2] then
  call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
else
  call('ZADD', KEYS[2], ARGV[4], ARGV[3])
  if ARGV[5] == '' then
    call('SET', KEYS[1], ARGV[2])
  else
    call('SET', KEYS[1], ARGV[2], 'PX', ARGV[5])
  end
end
-- See the end of the commit.
call('EXISTS', KEYS[1])
return 1
