-- begin_reading: the start of every script: reads the clock, or returns the answer that refuses the call.
-- Keep the schema equal to call.py.
--- @include "call"
local format = string.format

--- @include "sane"
--- @include "clock"
--- @include "globals"
local counted, limited, backlog -- cost mode: one per task instead of its time; whether limits of users were ever set;
                                -- most waiting tasks of the queue
local born -- when the queue was created; see create.lua
local tested, needs -- whether its time is that of a test; words for what not every release understands
local KNOWN_NEEDS = {} -- the words that this release understands

-- A whole number below 2^53 as text. tostring and .. would lose digits.
local function int(number) return format("%d", number) end

-- Any number as text that is parsed back to the same number.
local function exact(number)
  if number % 1 == 0 and number < 2 ^ 53 then return format("%d", number) end
  return format("%.17g", number)
end

-- The lowest score in an index.
local function first_score(index)
  return tonumber(call("ZRANGE", P .. index, 0, 0, "WITHSCORES")[2]) or math.huge
end

local function begin_reading()
  local meta = call("HMGET", KEYS[1], "schema", "test", "cost_mode", "limits", "backlog", "born", "needs")
  if meta[1] and meta[1] ~= "1" then return {-6, meta[1]} end
  for word in string.gmatch(meta[7] or "", "%S+") do
    if not KNOWN_NEEDS[word] then return {-6, meta[1] or "1", word} end
  end
  counted, limited, backlog, born = meta[3] == "count", meta[4], whole(meta[5]), whole(meta[6])
  tested, needs = meta[2] == "1", meta[7]
  local fixed = tested and whole(call("GET", P .. "now"))
  local time = not fixed and call("TIME")
  local server_us = fixed or time[1] * 1000000 + time[2]
  parse_globals(redis.pcall("GET", P .. "g"))
  read_clock(server_us, g.shift, g.seen)
end
