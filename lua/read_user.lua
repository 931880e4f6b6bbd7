#!lua flags=no-writes
--[[ read_user: returns the state of a user, each part read in constant or logarithmic time.
  KEYS[1] meta
  ARGV[1] user
  Returns {1, now_ms, field, value, ...} with the user's record, limits and places | {-5, what} | {-6, schema} ]]
--- @include "begin"
--- @include "arguments"
--- @include "reading"
local refused = begin_reading()
if refused then return refused end
if #ARGV ~= 1 or not id_at(1) then return bad_arguments("read_user takes a user") end

local reply = {1, int(wall_ms)}
about_user(reply, ARGV[1])
return reply
