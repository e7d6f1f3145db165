-- Reads and writes a record's bytes. Put in front of every script that looks inside a record.
--
-- Entries have the one-letter names of the codec. Entries that this version does not know are
-- carried as the bytes they are: packing them again could change them.
local FORMAT, NEVER, DAY = 1, 9007199254740991, 86400000

-- Takes the entries that this version does not know out of `r`: as one string, and how many they
-- are.
local function strangers(r, bytes, entries, from)
  local known = {}
  for name in string.gmatch('fvprsnuactied', '.') do known[name] = true end
  for name in pairs(r) do
    if not known[name] then r[name] = nil end
  end
  local raw = {}
  for _ = 1, entries do
    local at, name = cmsgpack.unpack_one(bytes, from)
    local to = cmsgpack.unpack_one(bytes, at)
    if to < 0 then to = #bytes end
    if not known[name] then raw[#raw + 1] = string.sub(bytes, from + 1, to) end
    from = to
  end
  return table.concat(raw), #raw
end

-- A record as a table; where there is more in it than this version knows, that, and how much.
-- nil where the bytes are no record, or one of a newer format.
local function read(bytes)
  local ok, r, more = pcall(cmsgpack.unpack, bytes)
  if not ok or more ~= nil or type(r) ~= 'table' then return nil end
  local f = r.f
  if type(f) ~= 'number' or f > FORMAT then return nil end
  if not (r.v and r.c and r.t) then return nil end
  local entries, from = string.byte(bytes) - 0x80, 1
  if entries == 0xde - 0x80 then
    entries, from = string.byte(bytes, 2) * 256 + string.byte(bytes, 3), 3
  elseif entries > 15 then
    return nil
  end
  local known = 4 + (r.p and 1 or 0) + (r.r and 1 or 0) + (r.s and 1 or 0) + (r.n and 1 or 0)
    + (r.u and 1 or 0) + (r.a and 1 or 0) + (r.i and 1 or 0) + (r.e and 1 or 0) + (r.d and 1 or 0)
  if not r.d then r.d = {} end
  if known == entries then return r end
  return r, strangers(r, bytes, entries, from)
end

-- The first instant at which the record is over; nil where it never is.
local function deadline(r)
  local ends, idle = r.e, r.i
  if idle then
    idle = r.t + idle
    if idle > NEVER then idle = NEVER end
    if not ends or idle < ends then return idle end
  end
  return ends
end

-- Whether a secret opens the record.
local function admits(r, proof, now)
  if r.p == proof then return true end
  if r.n and r.n[1] == proof then return true end
  local old = r.s
  for i = old and #old or 0, 1, -1 do
    if old[i][1] == proof and now < old[i][2] then return old[i][3] ~= 0 end
  end
  return false
end
