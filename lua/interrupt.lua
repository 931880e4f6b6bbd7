#!lua flags=allow-oom
--[[ interrupt: ends the wait of one worker, which pops then. The worker asks for it when it waits for nothing any more.
  KEYS[1] meta
  ARGV[1] worker
  Returns {1} | {-5, what} | {-6, schema} ]]
--- @include "begin"
--- @include "arguments"
local refused = begin()
if refused then return refused end
local worker = ARGV[1]
if #ARGV ~= 1 or worker == "" then return bad_arguments("interrupt takes a worker") end
local key = P .. "interrupt:" .. worker
if call("LLEN", key) == 0 then call("LPUSH", key, "1") end
-- For a worker that died before it could take the element.
call("PEXPIRE", key, 60000)
return {1}
