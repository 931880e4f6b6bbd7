#!lua flags=allow-oom
--[[ rouse: wakes an idle worker if a task is runnable. Called by a worker that took a wake-up and cannot use it.
  KEYS[1] meta
  Returns {1} | {-6, schema} ]]
--- @include "access"
--- @include "begin"
--- @include "writes"
local refused = begin()
if refused then return refused end
if call("EXISTS", P .. "ready", P .. "fresh") > 0 then wake() end
return {1}
