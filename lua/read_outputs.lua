#!lua flags=no-writes
--[[ read_outputs: what up to 100 ended tasks have left: their result, and the values that they pushed.
  KEYS[1] meta
  ARGV[1..] for each task: id
  Returns {1, state, result, xcom, ...} with three places a task, all '' for one that is not known; result '' for null
    | {-5, what} | {-6, schema} ]]
--- @include "begin"
--- @include "arguments"
--- @include "task"
local MOST = 100

local refused = begin()
if refused then return refused end
if #ARGV == 0 or #ARGV > MOST then return bad_arguments("read_outputs takes 1 to 100 tasks") end

local reply, keys = {1}, {}
for _, id in ipairs(ARGV) do
  keys[#keys + 1] = P .. "r:" .. id
  keys[#keys + 1] = P .. "x:" .. id
end
local blobs = call("MGET", unpack(keys))
for index, id in ipairs(ARGV) do
  local size = #reply
  reply[size + 1], reply[size + 2] = task(id).r.state or "", blobs[2 * index - 1] or ""
  reply[size + 3] = blobs[2 * index] or ""
end
return reply
