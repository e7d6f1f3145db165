-- Applies one commit to one record: Record::apply, step by step, in its order.
--
-- KEYS: the record, its bucket's deadlines.
-- ARGV: now, the key's bytes, the commit's id, the secret it was opened under or '', '1' for a
--       touch, the most fields, the most bytes, the number of changes, the terms (MessagePack) or
--       '', then for each change: the name, 'w' or 'd' followed by what is expected ('' anything,
--       'a' absent, 'v' and a version), the bytes.
-- Answers: the version where done; -1 gone; -2 too many fields; -3 too many bytes;
--          {1, record} conflict; {2, bytes} unreadable; {3, version, since when, the
--          principal before or nil, since when} done, and the sign-in stands.
--
-- Nothing is written before everything is decided, and the record is written last: an error on the
-- way leaves at most an index entry that the sweep puts right.
local ARGV, call = ARGV, redis.call
local bytes = call('GET', KEYS[1])
if not bytes then return -1 end
local r, raw, count = read(bytes)
if not r then return {2, bytes} end
local now, id, opened = tonumber(ARGV[1]), ARGV[3], ARGV[4]
local before = deadline(r)
if before and before <= now then return -1 end

local d, last = r.d, 6 + 3 * tonumber(ARGV[8])
local terms, rotation
if ARGV[9] ~= '' then
  terms = cmsgpack.unpack(ARGV[9])
  rotation = terms.rotation
end
local done
if terms and terms.principal then
  local was, since = r.u, r.a
  done = function()
    if r.u ~= terms.principal then return r.v end
    local former = was ~= r.u and was or false
    return {3, r.v, string.format('%.0f', r.a or 0), former, string.format('%.0f', since or 0)}
  end
end

-- The commit's own id is looked for before anything is asked of its secret: it may have been
-- applied, and have replaced that secret, by an earlier send.
local met = true
for at = 10, last + 3, 3 do
  local field, op = d[ARGV[at]], ARGV[at + 1]
  local version = field and field[1]
  if version == id then return done and done() or r.v end
  if #op > 1 then
    if #op == 2 then
      if field then met = false end
    elseif version ~= string.sub(op, 3) then
      met = false
    end
  end
end
if rotation == 'replace' then
  if r.p == terms.proof then return done and done() or r.v end
elseif rotation == 'offer' then
  local waiting = r.n and r.n[1]
  if waiting == terms.proof then return done and done() or r.v end
  if waiting ~= terms.instead_of or opened ~= (r.p or '') then met = false end
end
if opened ~= '' and opened ~= r.p and not admits(r, opened, now) then return -1 end
if not met then return {1, bytes} end

local changed, more, larger = false, 0, 0
for at = 10, last + 3, 3 do
  local name, to = ARGV[at], ARGV[at + 2]
  local field = d[name]
  if string.byte(ARGV[at + 1]) == 119 then
    if field then
      larger = larger + #to - #field[2]
      field[1], field[2] = id, to
    else
      more, larger = more + 1, larger + #name + #to
      d[name] = {id, to}
    end
    changed = true
  elseif field then
    more, larger = more - 1, larger - #name - #field[2]
    d[name] = nil
    changed = true
  end
end
-- Only a commit that makes the record larger can run into a limit.
if more > 0 or larger > 0 then
  local fields, size = 0, 0
  for name, field in pairs(d) do
    fields, size = fields + 1, size + #name + #field[2]
  end
  if more > 0 and fields > tonumber(ARGV[6]) then return -2 end
  if larger > 0 and size > tonumber(ARGV[7]) then return -3 end
end

if rotation == 'offer' then
  r.n = {terms.proof, now}
  changed = true
elseif rotation then
  local old, next = r.s or {}, r.n
  local until_, current = math.min(now + terms.time, NEVER)
  if rotation == 'replace' then
    for _, entry in ipairs(old) do
      if entry[3] ~= 0 then entry[2], entry[3] = until_, 0 end
    end
    if r.p then old[#old + 1] = {r.p, until_, 0} end
    if next then old[#old + 1] = {next[1], until_, 0} end
    current = terms.proof
  elseif next and opened == next[1] then
    if r.p then old[#old + 1] = {r.p, until_, 1} end
    current = next[1]
  end
  if current then
    local kept = {}
    for i = math.max(1, #old - terms.most + 1), #old do
      if now < old[i][2] then kept[#kept + 1] = old[i] end
    end
    r.s = #kept > 0 and kept or nil
    r.p, r.r, r.n = current, now, nil
    changed = true
  end
end
if terms then
  if terms.principal then
    r.u, r.a = terms.principal, now
    changed = true
  end
  if terms.idle then
    r.i = terms.idle >= 0 and terms.idle or nil
    changed = true
  end
  if terms.ends_at then
    r.e = terms.ends_at >= 0 and terms.ends_at or nil
    changed = true
  end
end

-- Stays where a number is exact.
if changed then r.v = math.min(r.v + 1, NEVER) end
if ARGV[5] == '1' and now > r.t then
  r.t = now
elseif not changed then
  return done and done() or r.v
end

local after = deadline(r)
local packed = pack(r, id, raw, count)
if after == before then
  call('SET', KEYS[1], packed, 'KEEPTTL')
elseif after then
  call('ZADD', KEYS[2], string.format('%.0f', after), ARGV[2])
  call('SET', KEYS[1], packed, 'PX', string.format('%.0f', math.max(after - now, 0) + DAY))
else
  call('ZADD', KEYS[2], '+inf', ARGV[2])
  call('SET', KEYS[1], packed)
end
-- A server that tracks this connection's keys forgets a key when it is written, also by us. Reading
-- it last has our next near cache told of the next writer.
call('EXISTS', KEYS[1])
return done and done() or r.v
