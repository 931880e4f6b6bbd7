#!lua flags=no-writes
--[[ read_outputs: returns the results and XCom values of up to 100 ended tasks to a task that depends on them. An
  answer has at most 4 MiB: if it does not contain all of the tasks, call again for the rest.
  KEYS[1] meta
  ARGV[1] reader: the task that depends on them
  ARGV[2..] for each task: id
  Returns {1, state, result, xcom, ...} with three places per task, all '' if it is unknown; result '' for null
    | {-5, what} | {-6, schema} ]]
--- @include "access"
--- @include "begin"
--- @include "arguments"
--- @include "tasks"
local MOST_TASKS, MOST_BYTES = 100, 4194304 -- the number of tasks is also in outputs.py

local refused = begin_reading()
if refused then return refused end
if #ARGV < 2 or #ARGV > 1 + MOST_TASKS then return bad_arguments("read_outputs takes a reader and 1 to 100 tasks") end

local instead = {}
for named, id in string.gmatch(task(ARGV[1]).r.instead or "", "([^\n]+)\n([^\n]+)\n") do instead[named] = id end
local reply, total = {1}, 0
for index = 2, #ARGV do
  local t = task(instead[ARGV[index]] or ARGV[index])
  local state, result = outcome_of(t)
  local xcom = t.r.xcom and call("GET", P .. "x:" .. t.id) or ""
  total = total + #result + #xcom
  if total > MOST_BYTES and index > 2 then break end
  local size = #reply
  reply[size + 1], reply[size + 2], reply[size + 3] = state, result, xcom
end
return reply
