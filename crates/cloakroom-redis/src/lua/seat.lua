-- Takes a seat for a login that begins, or confirms it for a login whose record is written.
--
-- KEYS: the principal's seats: a hash of a key's name to 'p<lapse>:<nonce>' (pending) or
--       'c<login>' (confirmed), and under '' the id of the last bar.
-- ARGV: 'admit' or 'confirm', the key's name, the value to write, the most seats or '', the bar
--       that the login began under (confirm only), then names that count no seat.
-- Answers: {1, bar} seated anew; {2, bar} held a confirmed seat already; 1 confirmed; 0 barred, or
--          (confirm) no seat left; {0, name, value, ...} full: all that is seated.
local call = redis.call
local seats, name, most = KEYS[1], ARGV[2], ARGV[4]
local confirm = ARGV[1] == 'confirm'
local bar = call('HGET', seats, '') or ''
if confirm and bar ~= ARGV[5] then return 0 end
local mine = call('HGET', seats, name)
local confirmed = mine and string.byte(mine) == 99
-- A confirmation counts again only where its seat was given up meanwhile as abandoned.
if most ~= '' and not (confirm and mine) then
  local free = {[''] = true, [name] = true}
  for at = 6, #ARGV do free[ARGV[at]] = true end
  local all, taken = call('HGETALL', seats), 0
  for at = 1, #all, 2 do
    if not free[all[at]] then taken = taken + 1 end
  end
  if taken >= tonumber(most) then
    if confirm then return 0 end
    table.insert(all, 1, 0)
    return all
  end
end
-- A session that has its seat keeps it as it is until its new login is written.
if confirmed and not confirm then return {2, bar} end
call('HSET', seats, name, ARGV[3])
call('PERSIST', seats)
return confirm and 1 or {1, bar}
