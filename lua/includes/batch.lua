-- batch: collects writes, and sends them on demand with one command per index and kind. Removals from an index are sent
-- before additions to it.
local added, taken, dropped, stored, appended = {}, {}, {}, {}, {}
-- The bound in the scheduler record that each of these indexes has, see bounds.lua.
local BOUND_OF = {
  running = "next_at", delayed = "next_at", timers = "next_at", owe = "owe_min", kept = "kept_at", held = "kept_at",
}

local function lower_bound(index, score)
  local bound = BOUND_OF[index]
  if bound then g[bound] = math.min(g[bound], index == "timers" and math.ceil(score / 1000) or tonumber(score)) end
  if index == "critical" then g.critical = true end
end

local function add_to(index, score, id)
  local list = added[index]
  if not list then
    list = {}
    added[index] = list
  end
  local size = #list
  list[size + 1], list[size + 2] = score, id
  lower_bound(index, score)
end

local function take_from(index, id)
  local list = taken[index]
  if list then list[#list + 1] = id else taken[index] = {id} end
end

local function append_to(list, id)
  local ids = appended[list]
  if ids then ids[#ids + 1] = id else appended[list] = {id} end
end

local function drop_key(key) dropped[#dropped + 1] = key end

local function store_key(key, value)
  local size = #stored
  stored[size + 1], stored[size + 2] = key, value
end

--- @include "send"
