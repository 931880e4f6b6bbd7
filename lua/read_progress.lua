#!lua flags=no-writes
--[[ read_progress: returns the latest progress of tasks.
  KEYS[1] meta
  ARGV[1..] for each task: id
  Returns {1, progress, ...} with one place per task: its time in ms, a line break and JSON; '' if it reported nothing
    or is unknown | {-5, what} | {-6, schema} ]]
--- @include "access"
--- @include "begin"
--- @include "arguments"
local MOST_TASKS = 1000
local refused = begin_reading()
if refused then return refused end
if #ARGV == 0 or #ARGV > MOST_TASKS then return bad_arguments("read_progress takes 1 to 1000 tasks") end

local keys = {}
for index, id in ipairs(ARGV) do keys[index] = P .. "p:" .. id end
local reply = call("MGET", unpack(keys))
for index = 1, #reply do reply[index] = reply[index] or "" end
table.insert(reply, 1, 1)
return reply
