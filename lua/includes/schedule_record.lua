-- schedule_record: reads and packs schedules; those that a script changes are written once, at its end.
--- @include "access"
--- @include "begin"
--- @include "writes"

-- Whether the fields of a schedule's record are usable. There are few such records, so each field is
-- checked: an invalid time would stay in the index forever.
local TIMES, NUMBERS = {"next", "from", "forget", "last"}, {"rev", "fired", "missed", "skipped"}

local function all_whole(r, names)
  for _, name in ipairs(names) do
    if r[name] and (type(r[name]) ~= "number" or not whole(r[name])) then return false end
  end
  return true
end

-- Whether a line has this many whole numbers, followed by at most a word.
local function holds_numbers(line, number)
  local found = 0
  for digits in string.gmatch(line, "%d+") do
    if not whole(digits) then return false end
    found = found + 1
  end
  return found == number
end

local function readable_step(line)
  return string.find(line, "^%d+ %d+ %d+ %d+ %d+$") and holds_numbers(line, 5)
end

local function readable_misses(lines)
  for line in string.gmatch(lines, "[^\n]+") do
    if not string.find(line, "^%d+ %d+ %d+ %a+$") or not holds_numbers(line, 3) then return false end
  end
  return true
end

local function readable_schedule(r)
  return all_whole(r, TIMES) and all_whole(r, NUMBERS)
    and type(r.def) == "string" and string.find(r.def, "^{.*}$") and type(r.timing) == "string"
    and type(r.on) == "boolean" and (not r.did or readable_step(r.did))
    and (not r.misses or type(r.misses) == "string" and readable_misses(r.misses))
end

-- The record of a schedule: one MessagePack map under one key. Unknown fields are kept. An unreadable
-- record counts as absent; the script that finds it sets it aside.
local records, unreadable = {}, {}

-- Raises an error if it is not a record, or has fields that no script can use.
local function readable(text)
  local r = cmsgpack.unpack(text)
  return r.rev and readable_schedule(r) and r or error("no record")
end

-- Caches the record of a key, given its text; false if it is absent or unreadable.
local function note_record(key, text)
  local r = false
  if text then
    local sound, found = pcall(readable, text)
    r = sound and found
    if not sound then unreadable[key] = true end
  end
  records[key] = r
  return r
end

local function schedule_record(key)
  local known = records[key]
  if known == nil then known = note_record(key, call("MGET", key)[1]) end
  return known
end

-- Reads the records of many schedules with one command in advance, and writes the changed ones at the
-- end.
local changed_schedules = {}

local function read_schedules(keys)
  for first = 1, #keys, CHUNK do
    local texts = call("MGET", unpack(keys, first, math.min(first + CHUNK - 1, #keys)))
    for index, text in ipairs(texts) do note_record(keys[first + index - 1], text) end
  end
end

local function will_write_schedule(s) note_change(s, changed_schedules) end

local function write_schedules()
  for _, s in ipairs(changed_schedules) do store_key(s.key, cmsgpack.pack(s.r)) end
end

-- A schedule and its record, read once in a script; `r` is empty if there is none. In the record:
--   def  definition, opaque here     rev  number of its last change    on  whether it fires
--   content  digest of the definition, equal for equal ones
--   timing  digest of everything that its times depend on     next  time of its next run
--   from  if there is no `next`: the next run is the first one after this, and is computed by the leader
--   forget  it has no further runs, and is deleted then     last  time of the last fired run
--   fired, missed, skipped  numbers of runs     misses  see schedules
--   did  its last move: term of the leader, the revision and time that it saw, the answer, when
local known_schedules, touched_schedules = {}, {}

local function schedule(id)
  local s = known_schedules[id]
  if s then return s end
  local key = P .. "schedule:" .. id
  s = {id = id, key = key, r = schedule_record(key) or {}, changed = false}
  known_schedules[id] = s
  touched_schedules[#touched_schedules + 1] = s
  return s
end

-- Its score in the index `due`: before all others while its next run is not computed yet.
local function due_at(r) return r.on and (r.next or r.forget or r.from and 0) or nil end

-- Updates the index `due` for all changed schedules.
local function place_schedules()
  for _, s in ipairs(touched_schedules) do
    local at = due_at(s.r)
    if s.changed and at then
      add_to("due", int(at), s.id)
    elseif s.changed then
      take_from("due", s.id)
    end
  end
end
