-- Reads and writes a record's bytes. Put in front of what looks inside a record.
--
-- Entries have the one-letter names of the codec. Entries that this version does not know are
-- carried as the bytes they are: packing them again could change them.
local FORMAT, NEVER, DAY = 2, 9007199254740991, 86400000

-- Takes the entries that this version does not know out of `r`: as one string, and how many they
-- are.
local function strangers(r, bytes, entries, from)
  local known = {}
  for name in string.gmatch('wfvprsnuactied', '.') do known[name] = true end
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

-- A record as a table, with every field by its name as {the commit that wrote it, its value};
-- where there is more in it than this version knows, that, and how much. nil where the bytes are no
-- record, or one of another format.
local function read(bytes)
  local ok, r, more = pcall(cmsgpack.unpack, bytes)
  if not ok or more ~= nil or type(r) ~= 'table' or r.f ~= FORMAT then return nil end
  if not (r.w and r.v and r.c) then return nil end
  local entries, from = string.byte(bytes) - 0x80, 1
  if entries == 0xde - 0x80 then
    entries, from = string.byte(bytes, 2) * 256 + string.byte(bytes, 3), 3
  elseif entries > 15 then
    return nil
  end
  local known = 4 + (r.p and 1 or 0) + (r.r and 1 or 0) + (r.s and 1 or 0) + (r.n and 1 or 0)
    + (r.u and 1 or 0) + (r.a and 1 or 0) + (r.t and 1 or 0) + (r.i and 1 or 0) + (r.e and 1 or 0)
    + (r.d and 1 or 0)
  local fields = {}
  for id, group in pairs(r.d or fields) do
    for name, value in pairs(group) do fields[name] = {id, value} end
  end
  r.d, r.t, r.r = fields, r.t or r.c, r.r or r.c
  if known == entries then return r end
  return r, strangers(r, bytes, entries, from)
end

-- The mark of what a commit makes of a record with the mark `before`, as Mark::then has it.
local function marked(before, id)
  local mark = {}
  for i = 1, 8 do mark[i] = bit.bxor(string.byte(before, i % 8 + 1), string.byte(id, i)) end
  return string.char(unpack(mark))
end

-- The bytes of a record that a commit has written. `raw` and `count` are what `read` has found
-- beside.
local function pack(r, id, raw, count)
  local mark = marked(r.w, id)
  local groups
  for name, field in pairs(r.d) do
    groups = groups or {}
    local group = groups[field[1]]
    if group then group[name] = field[2] else groups[field[1]] = {[name] = field[2]} end
  end
  r.w, r.d = nil, groups
  if r.t == r.c then r.t = nil end
  if r.r == r.c then r.r = nil end
  local packed = cmsgpack.pack(r)
  local entries = string.byte(packed) - 0x80 + 1 + (raw and count or 0)
  local head = entries < 16 and string.char(0x80 + entries)
    or string.char(0xde, math.floor(entries / 256), entries % 256)
  return head .. '\161w\168' .. mark .. string.sub(packed, 2) .. (raw or '')
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
