#!lua flags=allow-oom
--[[ progress: stores the progress of running tasks, and publishes it to the processes that wait for them.
  Guarantee: only the holder of the token can report progress.
  KEYS[1] meta
  ARGV[1..] for each task: id, token, progress (JSON)
  Returns {1, code, ...} with one place per task: {1} stored, {-1} lost, {-2} not found | {-5, what}
    | {-6, schema} ]]
--- @include "access"
--- @include "begin"
--- @include "arguments"
--- @include "writes"
--- @include "task_record"
--- @include "tasks"
--- @include "endings"
local STRIDE = 3
local MOST_BYTES = 4096 -- of one progress value

local refused = begin()
if refused then return refused end
if not grouped(0, STRIDE) then return bad_arguments("progress takes id, token and progress of each task") end
local ids = {}
for first = 1, #ARGV, STRIDE do
  if #ARGV[first + 2] > MOST_BYTES then
    return bad_arguments("the progress of task " .. ARGV[first] .. " has more than 4 KiB")
  end
  ids[#ids + 1] = ARGV[first]
end

read_tasks(ids)
local reply = {1}
for first = 1, #ARGV, STRIDE do
  local t = task(ARGV[first])
  local code = -2
  if t.r.state then
    code = -1
    if t.r.state == "STARTED" and t.r.token == ARGV[first + 1] then
      code = 1
      local told = int(wall_ms) .. "\n" .. ARGV[first + 2]
      store_key(P .. "p:" .. t.id, told)
      -- If there are very many listeners, each message reaches a different part of them.
      if t.r.watch then
        publish(call("ZRANDMEMBER", P .. "w:" .. t.id, TOLD), t.id .. "\nPROGRESS\n" .. told)
      end
    end
  end
  reply[#reply + 1] = code
end
send_batches()
return reply
