-- readable_schedule: whether the fields of a schedule's record are what the scripts use. There are few such records, so
-- each field is looked at: a time that is none would stand in the index for ever.
local TIMES, NUMBERS = {"next", "from", "forget", "last"}, {"rev", "fired", "missed", "skipped"}

local function all_whole(r, names)
  for _, name in ipairs(names) do
    local value = r[name]
    if value and (type(value) ~= "number" or value < 0 or value >= 2 ^ 53 or value % 1 ~= 0) then return false end
  end
  return true
end

local function readable_misses(lines)
  for line in string.gmatch(lines, "[^\n]+") do
    if not string.find(line, "^%d+ %d+ %d+ %a+$") then return false end
  end
  return true
end

local function readable_schedule(r)
  return all_whole(r, TIMES) and all_whole(r, NUMBERS) and type(r.def) == "string" and type(r.timing) == "string"
    and type(r.on) == "boolean" and (not r.did or string.find(r.did, "^%d+ %d+ %d+ %d+ %d+$"))
    and (not r.misses or type(r.misses) == "string" and readable_misses(r.misses))
end
