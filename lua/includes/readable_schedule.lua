-- readable_schedule: whether the fields of a schedule's record are usable. There are few such records, so each field is
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
