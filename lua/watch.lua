#!lua flags=allow-oom
--[[ watch: gives the endings of tasks, or sees to it that the caller's process is told when they come, or is not.
  The answer has the first of the tasks, all of them unless what they left is more than 4 MiB together; ask again for
  the others.
  KEYS[1] meta
  ARGV[1] listener: name of the process's channel, '' only to look  ARGV[2] ttl_ms: for how long it listens unless it
    says so again, 0 to take that back
  ARGV[3..] for each task: id
  Returns {1, state, result, ...} with two places a task: its result, error or reason, '' before its end; and the state
    '' of one that is not known | {-5, what} | {-6, schema} ]]
--- @include "begin"
--- @include "arguments"
--- @include "task"
--- @include "records"
--- @include "terminal"
--- @include "listeners"
local MOST_TASKS, MOST_BYTES = 1000, 4194304 -- watch.py has the same number of tasks

local refused = begin()
if refused then return refused end
local listener, ttl_ms = ARGV[1], number_at(2)
local keys, nameless = {}, false
for index = 3, #ARGV do
  keys[index - 2], nameless = P .. "t:" .. ARGV[index], nameless or ARGV[index] == ""
end
if #ARGV < 3 or not ttl_ms or nameless or #keys > MOST_TASKS then
  return bad_arguments("watch takes a listener, a time and 1 to 1000 tasks")
end

read_records(keys)
local reply, total = {1}, 0
for index = 3, #ARGV do
  local t = task(ARGV[index])
  local state, left = t.r.state or "", ""
  if TERMINAL[state] then
    left = call("GET", P .. "r:" .. t.id) or ""
    total = total + #left
    if total > MOST_BYTES and index > 3 then break end
  elseif state ~= "" and listener ~= "" and ttl_ms > 0 then
    if not t.r.watch then
      t.r.watch = true
      will_write(t)
    end
    listen(t.id, listener, ttl_ms)
  elseif state ~= "" and listener ~= "" then
    call("ZREM", P .. "w:" .. t.id, listener)
  end
  reply[#reply + 1], reply[#reply + 2] = state, left
end
write_records()
send_batches()
return reply
