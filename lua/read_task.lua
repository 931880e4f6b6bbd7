#!lua flags=no-writes
--[[ read_task: returns the record of a task.
  KEYS[1] meta
  ARGV[1] id
  Returns {1, now_ms, field, value, ...} with the fields of the task's record | {-2} not found | {-5, what}
    | {-6, schema} ]]
--- @include "begin"
--- @include "arguments"
--- @include "task_record"
--- @include "reading"
local refused = begin_reading()
if refused then return refused end
if #ARGV ~= 1 or ARGV[1] == "" then return bad_arguments("read_task takes a task") end

local reply = {1, int(wall_ms)}
tell_record(reply, task_record(ARGV[1]))
return #reply > 2 and reply or {-2}
