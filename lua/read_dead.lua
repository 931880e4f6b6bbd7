#!lua flags=no-writes
--[[ read_dead: returns one page of at most 4 MiB of the dead letters, ordered by when they ended.
  KEYS[1] meta
  ARGV[1] after_ms  ARGV[2] after_id: when the letter before the first one ended, on the server's clock, or '=' and
    `more` of the previous page, and its id; '0' and '' for the first page
  ARGV[3] most: 1 to 1000
  Returns {1, now_ms, more, id, ended_at, pushed_at, user, attempts, failures, lost, worker, error, message, ...} with
    ten places per letter; more is '' if no others follow, else when the last of these ended, on the queue's
    clock | {-5, what} | {-6, schema} ]]
--- @include "access"
--- @include "begin"
--- @include "arguments"
--- @include "tasks"
--- @include "reading"
local MOST_BYTES = 4194304

local refused = begin_reading()
if refused then return refused end
local after_ms, after_id, most = number_at(1), ARGV[2], number_at(3)
local own_ms = tonumber(string.match(ARGV[1] or "", "^=(%d+)$") or nil)
after_ms = own_ms or after_ms and math.max(0, after_ms + shift_ms)
if #ARGV ~= 3 or not after_ms or not most or most < 1 or most > 1000 then
  return bad_arguments("read_dead takes a time, a task and a number of letters")
end

local reply, total = {1, int(wall_ms), ""}, 0
local rank = rank_after("dead", int(after_ms), after_id)
local ids = call("ZRANGE", P .. "dead", rank, rank + most) -- one more, to see if others follow
local last_ms
for place, id in ipairs(ids) do
  local t = task(id)
  local r, message, _, blob = t.r, message_of(id) or "", outcome_of(t)
  total = total + #blob + #message
  if place > most or (total > MOST_BYTES and place > 1) then
    reply[3] = int(last_ms)
    break
  end
  last_ms = r.ended_at or 0
  local ended_ms, pushed_ms = last_ms - shift_ms, math.floor((r.pushed_at or now) / 1000) - shift_ms
  for _, value in ipairs({
    id, int(ended_ms), int(pushed_ms), r.user or "", r.attempt or 0, r.fails or 0, r.lost or 0, r.worker or "", blob,
    message,
  }) do
    reply[#reply + 1] = value
  end
end
return reply
