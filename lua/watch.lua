#!lua flags=allow-oom
--[[ watch: gives the ending of a task, or sees to it that the caller's process is told when it comes.
  KEYS[1] meta
  ARGV[1] id  ARGV[2] listener: name of the process's channel, '' only to look
  Returns {1, state, result} ended, {1, state, ''} not yet | {-2} not found | {-5, what} | {-6, schema} ]]
--- @include "begin"
--- @include "arguments"
--- @include "task"
local TERMINAL = {FINISHED = true, FAILED = true, CANCELED = true}

local refused = begin()
if refused then return refused end
local id, listener = ARGV[1], ARGV[2]
if #ARGV ~= 2 or id == "" then return bad_arguments("watch takes a task and a listener") end

local t = task(id)
local state = t.r.state
if not state then return {-2} end
if TERMINAL[state] then return {1, state, call("GET", P .. "r:" .. id) or ""} end
if listener ~= "" then
  t.r.watch = true
  write_now(t)
  call("SADD", P .. "w:" .. id, listener)
end
return {1, state, ""}
