-- Removes one record with its index entry: ends it where a guard allows, or claims it where it is
-- over.
--
-- KEYS: the record, its bucket's deadlines, its bucket's leases, its bucket's endings.
-- ARGV: now, the key's bytes, what for ('over', 'any', 'proof', 'principal'), the proof or the
--       principal, the reason or '', until when the ending is leased to the caller or '' to keep
--       none.
-- Answers: the removed record's bytes; nil nothing removed; {2, bytes} unreadable.
local call = redis.call
local now, what = tonumber(ARGV[1]), ARGV[3]
local bytes = call('GET', KEYS[1])
if not bytes then
  -- The server's own expiry took the value; its entry in the index goes with it.
  call('ZREM', KEYS[2], ARGV[2])
  return false
end
local r = read(bytes)
if not r then return {2, bytes} end
local at = deadline(r)
local over = at ~= nil and at <= now
local reason = ARGV[5]
if what == 'over' then
  if not over then
    call('ZADD', KEYS[2], at and string.format('%.0f', at) or '+inf', ARGV[2])
    return false
  end
  reason = r.e == at and 'lifetime' or 'idle'
elseif over then
  return false
elseif what == 'proof' then
  if not admits(r, ARGV[4], now) then return false end
elseif what == 'principal' then
  if r.u ~= ARGV[4] then return false end
end
if ARGV[6] ~= '' then
  call('HSET', KEYS[4], ARGV[2], reason .. ':' .. bytes)
  call('ZADD', KEYS[3], ARGV[6], ARGV[2])
end
call('DEL', KEYS[1])
call('ZREM', KEYS[2], ARGV[2])
return bytes
