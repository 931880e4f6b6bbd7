#!lua flags=no-writes
--[[ explain: returns why a task is in its state: its record, its place in its user's queue, and the state of its user.
  KEYS[1] meta
  ARGV[1] id
  Returns {1, now_ms, state, user, place, due_ms, lease_ms, field, value, ...}: place in the user's queue from 0, when
    it is due, when its lease ends, each '' if it has none; then the fields of read_user | {-2} not found
    | {-5, what} | {-6, schema} ]]
--- @include "access"
--- @include "begin"
--- @include "arguments"
--- @include "writes"
--- @include "tasks"
--- @include "queues"
--- @include "reading"
local refused = begin_reading()
if refused then return refused end
local id = ARGV[1]
if #ARGV ~= 1 or id == "" then return bad_arguments("explain takes a task") end

local t = task(id)
if not t.r.state then return {-2} end

-- How many tasks of its user come before it, by the places in the list and beside it.
local function place_of()
  local owner, list = t.r.user, P .. "n:" .. t.r.user
  local place = score("z:" .. owner, id)
  if place then
    local time = place + BOOST[NORMAL]
    local before = listed_before(list, time)
    local next_one = call("LINDEX", list, before)
    if next_one and entered_at(next_one) == time and comes_after(0, id, 0, next_one) then before = before + 1 end
    return call("ZRANK", P .. "z:" .. owner, id) + before
  end
  local index = index_of(list, id, t.r.pushed_at)
  if index then return index + rank_after("z:" .. owner, exact(t.r.pushed_at - BOOST[NORMAL]), id) end
  return call("ZRANK", P .. "c:" .. owner, id)
end

local place = place_of()
local due, lease = between(score("delayed", id), 0, TOP), between(score("running", id), 0, TOP)
due, lease = due and int(t.r.at or due - shift_ms), lease and int(lease - shift_ms)
local reply = {1, int(wall_ms), t.r.state, t.r.user, place and int(place) or "", due or "", lease or ""}
about_user(reply, t.r.user)
return reply
