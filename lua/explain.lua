#!lua flags=no-writes
--[[ explain: returns why a task is in its state: its record, its place in its user's queue, and the state of its user.
  KEYS[1] meta
  ARGV[1] id
  Returns {1, now_ms, state, user, place, due_ms, lease_ms, field, value, ...}: place in the user's queue from 0, when
    it is due, when its lease ends, each '' if it has none; then the fields of read_user | {-2} not found
    | {-5, what} | {-6, schema} ]]
--- @include "begin_reading"
--- @include "arguments"
--- @include "task"
--- @include "about_user"
--- @include "score"
local refused = begin_reading()
if refused then return refused end
local id = ARGV[1]
if #ARGV ~= 1 or id == "" then return bad_arguments("explain takes a task") end

local t = task(id)
if not t.r.state then return {-2} end
local place = call("ZRANK", P .. "n:" .. t.r.user, id) or call("ZRANK", P .. "c:" .. t.r.user, id)
local due, lease = between(score("delayed", id), 0, TOP), between(score("running", id), 0, TOP)
due, lease = due and int(t.r.at or due - shift_ms), lease and int(lease - shift_ms)
local reply = {1, int(wall_ms), t.r.state, t.r.user, place and int(place) or "", due or "", lease or ""}
about_user(reply, t.r.user)
return reply
