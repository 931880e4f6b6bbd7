#!lua flags=allow-oom
--[[ interrupt: ends the blocking wait of one worker, so that it pops. A worker calls it when it no longer needs to
  wait.
  KEYS[1] meta
  ARGV[1] worker
  Returns {1} | {-5, what} | {-6, schema} ]]
--- @include "access"
--- @include "begin"
--- @include "arguments"
local refused = begin()
if refused then return refused end
local worker = ARGV[1]
if #ARGV ~= 1 or worker == "" then return bad_arguments("interrupt takes a worker") end
local key = P .. "interrupt:" .. worker
if call("LLEN", key) == 0 then call("LPUSH", key, "1") end
-- In case the worker dies before it takes the element.
call("PEXPIRE", key, 60000)
return {1}
