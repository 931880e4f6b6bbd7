#!lua flags=allow-oom
--[[ verify_settings: checks that the records of the whole queue can be read: its settings, the scheduler record, and
  the lease of the leading scheduler. The other verifications rely on this.
  KEYS[1] meta
  ARGV[1] fix: 1 fixes the findings, 0 only reports them
  Returns {1, kind, name, what, fixed, ...} with four places per finding | {-5, what} | {-6, schema} ]]
--- @include "access"
--- @include "formats"
--- @include "begin"
--- @include "arguments"
--- @include "verification"
if not begin_verification() or #ARGV ~= 1 then return bad_arguments("verify_settings takes 0 or 1") end

-- Check the type before reading from it.
local kind = call("TYPE", KEYS[1]).ok
if kind ~= "hash" and kind ~= "none" then
  found("type", "meta", "it is a " .. kind .. " and should be a hash: what was set for the queue is gone", fix)
  if not fix then return all_found() end
  set_aside(KEYS[1])
end
local schema = call("HGET", KEYS[1], "schema")
if schema and not whole(schema) then
  found("setting", "meta schema", "it is not a number of a schema", fix)
  if not fix then return all_found() end
  call("HSET", KEYS[1], "schema", "1")
end
local words = call("HGET", KEYS[1], "needs")
if words and not string.find(words, "^[%l_ ]+$") then
  found("setting", "meta needs", "it cannot be '" .. string.sub(words, 1, 40) .. "'", fix)
  if not fix then return all_found() end
  call("HDEL", KEYS[1], "needs")
end
local refused = begin()
if refused then return refused end

-- In their order in the scheduler record.
local GLOBAL_NAMES = {
  "flags", "bs", "cg", "V", "aseq", "est0", "pop_at", "queued", "pushed", "finished", "seen", "shift", "clk", "next_at",
  "owe_min", "fresh_n", "kept_at",
}

local function mode(text) return text == "time" or text == "count" end
local function kinds(text) return text == "1" or text == "2" end
local LOOK = {
  meta = {cost_mode = mode, backlog = whole, limits = kinds, born = whole},
  lock = {term = whole, ["until"] = whole, lease = whole},
}

for name, fields in pairs(LOOK) do
  for field, fits in pairs(fields) do
    local value = call("HGET", P .. name, field)
    if value and not fits(value) then
      found("setting", name .. " " .. field, "it cannot be '" .. string.sub(value, 1, 40) .. "'", fix)
      if fix and field == "term" then
        call("HSET", P .. name, field, int(now_ms)) -- above all possible terms
      elseif fix then
        call("HDEL", P .. name, field)
      end
    end
  end
end
local there = call("EXISTS", P .. "cfg:") == 1 and "2" or call("EXISTS", P .. "configured") == 1 and "1"
if there and there > (call("HGET", KEYS[1], "limits") or "") then
  found("setting", "meta limits", "there are limits of users, and they would not be applied", fix)
  if fix then call("HSET", KEYS[1], "limits", there) end
end
if fix then note_limited(call("HGET", KEYS[1], "limits")) end

local before = #findings
g.flags = flags()
if unreadable_globals then found("setting", "g", "the scheduler record cannot be read", fix) end
local stored = not unreadable_globals and call("GET", P .. "g")
local values = stored and {struct.unpack(GLOBALS, stored)} or {}
for index, name in ipairs(GLOBAL_NAMES) do
  local value = values[index + 1]
  if value and value ~= g[name] then found("setting", "g " .. name, "it cannot be " .. value, fix) end
end
if fix and #findings > before then save_globals() end
return all_found()
