-- dependencies: tasks that wait for others: what they wait for, and what happens when that ends.
--- @include "access"
--- @include "begin"
--- @include "writes"
--- @include "task_record"
--- @include "tasks"
--- @include "queues"
--- @include "users"
--- @include "sync"
--- @include "enter"
--- @include "endings"

local stands_for = {} -- by id of this push: the task that replaces it by its deduplication key; its own user

-- Reads the tasks that a new task depends on, each as c (canceled with it) or r (runs anyway), and the id. A parent in
-- the same push comes before its dependents. Returns the user and priority of the first one, how many are open, whether
-- one failed that cancels the task, when the first was pushed in microseconds, and which are replaced by others; or nil
-- and the id of an unknown one.
local function look_at_parents(lines, here)
  local open, failed, root_at, first, instead = 0, nil, now, {}, {}
  local ids, edges, size = {}, {}, 0
  for _, line in ipairs(lines) do
    local named, edge = string.sub(line, 2), string.sub(line, 1, 1)
    local other = stands_for[named]
    local id = other and other.id or named
    local parent = here[id] or task_record(id)
    if not parent then return nil, named end
    if other then instead[#instead + 1] = named .. "\n" .. id .. "\n" end
    first = first.user and first or other and other.user and other or parent
    if parent.state == "FAILED" or parent.state == "CANCELED" then
      if edge == "c" then failed = failed or id end
      edge = "n"
    elseif parent.state == "FINISHED" then
      edge = "n"
    else
      open = open + 1
    end
    size = size + 1
    ids[size], edges[size] = id, edge
    root_at = math.min(root_at, parent.root_at or parent.pushed_at)
  end
  return {
    open = failed and 0 or open, failed = failed, root_at = root_at, ids = failed and {} or ids, edges = edges,
    count = size, user = first.user, prio = first.prio, instead = #instead > 0 and table.concat(instead) or nil,
  }
end

-- The task waits for its parents.
local function defer(t, open, due_ms, at)
  t.r.open, t.r.due, t.r.at = open, not at and due_ms or nil, at
  add_to("deferred", now_ms, t.id)
  add_to("s:" .. t.r.user, "+inf", t.id)
end

-- Keeps an ended task for its dependents beyond its retention time.
local function hold(t)
  send_index("kept") -- it may have ended in this call
  local until_ms = between(call("ZSCORE", P .. "kept", t.id), 0, TOP) or now_ms
  t.r.keep = math.max(0, until_ms - t.r.ended_at)
  take_from("kept", t.id)
  add_to("held", until_ms, t.id)
end

local told_of = {} -- by parent: the lines to add to the list of its dependents

-- Registers a task with its parents: open ones will notify it, and all keep their values for it.
local function bind(t, parents)
  for place, id in ipairs(parents.ids) do
    local lines, edge = told_of[id], parents.edges[place]
    if not lines then
      lines = {}
      told_of[id] = lines
      local parent = task(id)
      if edge == "n" and not parent.r.keep then hold(parent) end
      parent.r.kids = true
      will_write(parent)
    end
    lines[#lines + 1] = edge .. t.id
  end
end

local function send_edges()
  for id, lines in pairs(told_of) do send("RPUSH", P .. "d:" .. id, lines) end
end

-- Removes one open parent from a waiting task; `goes_on` is whether the task may run after this ending.
local function free(id, parent, goes_on, ttl_ms)
  local t = task(id)
  local r = t.r
  if (not r.state or t.bare) and call("ZSCORE", P .. "deferred", id) and record_lost(t) then
    take_from("deferred", id)
    bury(t, "", "the index of those that wait for others", ttl_ms)
  end
  if r.state ~= "DEFERRED" then return end
  r.open = r.open - 1
  will_write(t)
  if goes_on and r.open > 0 then return end
  undefer(t)
  if not goes_on then
    cancel_with(t, parent, ttl_ms)
  elseif r.at and r.at > wall_ms or r.due and r.due > now_ms then
    r.state = "SCHEDULED"
    delay(id, r.user, r.at and r.at + shift_ms or r.due)
  else
    r.state, r.at = "QUEUED", nil
    enter(user(r.user), id, r.prio or NORMAL, r.root_at)
  end
end

local FREED = 100 -- dependents notified in one call

-- Notifies up to `most` dependents of ended tasks, and listeners. The rest, and the dependents of tasks that this ends,
-- stay in `pending` for the next call, so that ten thousand of them do not block the server and none is missed.
local function free_dependents(most, ttl_ms)
  local ended = call("LINDEX", P .. "pending", 0)
  if ended and string.sub(ended, 1, 1) == "L" then ended = tell_more(ended) end
  while most > 0 do
    if not ended then return end
    if string.sub(ended, 1, 1) == "L" then break end
    local parent = task(string.sub(ended, 2))
    local r, told = parent.r, parent.r.told or 0
    local finished = r.state == "FINISHED" or not r.state and string.sub(ended, 1, 1) == "F"
    -- A redriven task has notified all of its previous end, and will notify others of the next one.
    local redriven = r.state and not r.ended_at
    local list = P .. "d:" .. parent.id
    local children = redriven and {} or r.state and call("LRANGE", list, told, told + most - 1)
      or call("LPOP", list, most) or {} -- without a record the number of notified ones is unknown
    for _, child in ipairs(children) do
      local edge = string.sub(child, 1, 1)
      if edge ~= "n" then
        free(string.sub(child, 2), parent.id, finished or edge == "r", ttl_ms)
      end
    end
    if #children > 0 and r.state then
      r.told = told + #children
      will_write(parent)
    end
    if #children < most then call("LPOP", P .. "pending") end
    most, ended = most - #children, call("LINDEX", P .. "pending", 0)
  end
  note_work() -- there may be more: an idle worker continues
end
