#!lua flags=allow-oom
--[[ watch: returns the endings of tasks, and subscribes the caller's process to those that are still open, or
  unsubscribes it. An answer has at most 4 MiB: if it does not contain all of the tasks, call again for the rest.
  KEYS[1] meta
  ARGV[1] listener: name of the process's channel, '' only to read  ARGV[2] ttl_ms: for how long it listens unless
    it renews, 0 to unsubscribe
  ARGV[3..] for each task: id
  Returns {1, state, result, ...} with two places per task: its result, error or reason, '' before its end; an unknown
    task has the state '' | {-5, what} | {-6, schema} ]]
--- @include "access"
--- @include "begin"
--- @include "arguments"
--- @include "writes"
--- @include "task_record"
--- @include "tasks"
--- @include "endings"
local MOST_TASKS, MOST_BYTES = 1000, 4194304 -- the number of tasks is also in watch.py

local refused = begin()
if refused then return refused end
local listener, ttl_ms = ARGV[1], number_at(2)
local ids, nameless = {}, false
for index = 3, #ARGV do
  ids[index - 2], nameless = ARGV[index], nameless or ARGV[index] == ""
end
if #ARGV < 3 or not ttl_ms or nameless or #ids > MOST_TASKS then
  return bad_arguments("watch takes a listener, a time and 1 to 1000 tasks")
end

read_tasks(ids)
local reply, total = {1}, 0
for index = 3, #ARGV do
  local t = task(ARGV[index])
  local state, left = t.r.state or "", ""
  if TERMINAL[state] then
    state, left = outcome_of(t)
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
write_tasks()
send_batches()
return reply
