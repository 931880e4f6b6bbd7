#!lua
--[[ push: stores tasks: runnable now, at a later time, or after their parents.
  Guarantee: all tasks of the call are stored, or none. Repeating the call returns their states and changes nothing.
  KEYS[1] meta
  ARGV[1] message_limit: bytes of the largest message  ARGV[2] result_ttl_ms
  ARGV[3..] for each task: task (its id; then what few have, each on a line of its own: '+N' runnable in N ms, '@N' at
    N ms, 'dHASH' holds a deduplication key until its end or 'dHASH N' for N ms, 'cID' and 'rID' for each parent, see
    dependencies.lua), content (its body from the priority on, see formats.lua; priority 0 or no user: that of the first
    parent)
  Returns {1, code, state, id, ...} with three places per task: {1, state, id} stored, {2, state, id} stored before, {3,
    state, id} deduplicated (state '': that task was deleted) | {-3, id} conflict | {-4, id, bytes} too large | {-9, id,
    parent} depends on an unknown task | {-7, user, most, waiting, pause_ms} too many waiting tasks, of the user or ('')
    of the queue | {-5, what} | {-6, schema}
  Moves: NEW -> QUEUED, NEW -> SCHEDULED, NEW -> DEFERRED, NEW -> CANCELED ]]
--- @include "quick_push"
--- @include "formats"
--- @include "begin"
--- @include "arguments"
--- @include "task_record"
--- @include "tasks"
--- @include "user_record"
--- @include "queues"
--- @include "enter"
--- @include "dependencies"
--- @include "store"
local STRIDE = 2
local MOST_EDGES = 10000 -- keep equal to push.py
local MOST_TASKS, MOST_BYTES = 1000, 4194304 -- keep equal to push.py
local refused = begin()
if refused then return refused end
local limit, result_ttl_ms = number_at(1), number_at(2)
if not limit or limit > MOST_MESSAGE or not result_ttl_ms or not grouped(2, STRIDE)
  or #ARGV > 2 + MOST_TASKS * STRIDE then
  return bad_arguments("push takes a limit up to 1 MiB, a retention time, and 2 arguments each for 1 to 1000 tasks")
end

-- Everything is checked before the first write: Redis does not roll back a script.
local pushed, ids, owners, seen, total, edges = {}, {}, {}, {}, 0, 0
for first = 3, #ARGV, STRIDE do
  local given = task_at(first)
  local named = string.match(ARGV[first], "^[^\n]*")
  if not given then return bad_arguments("a task of the push is malformed: " .. named) end
  if given.size > limit then return {-4, given.id, given.size} end
  total, edges = total + given.size, edges + #given.parents
  pushed[#pushed + 1], ids[#ids + 1] = given, given.id
  if not seen[given.user] then owners[#owners + 1] = given.user end
  seen[given.user] = true
end
if total > MOST_BYTES then return bad_arguments("the messages of one push have more than 4 MiB") end
if edges > MOST_EDGES then return bad_arguments("the tasks of one push have more than 10000 dependencies") end
read_tasks(ids)
read_users(owners)
local reply, fresh, here, keyed = {1}, {}, {}, {}
for _, given in ipairs(pushed) do
  local id, priority, dedup = given.id, given.prio, given.dedup
  local known = here[id] or task_record(id) or {}
  local holder = dedup and not known.state and (keyed[dedup] or dedup_holder(dedup))
  if known.state then
    if known.digest ~= given.digest then return {-3, id} end
    reply[#reply + 1], reply[#reply + 2], reply[#reply + 3] = 2, known.state, id
  elseif holder then
    local state = (here[holder] or task(holder).r).state
    local own, urgent = given.user ~= "" and given.user or nil, priority > 0 and priority or nil
    stands_for[id] = {id = holder, user = own, prio = urgent}
    reply[#reply + 1], reply[#reply + 2], reply[#reply + 3] = 3, state or "", holder
  else
    local due_ms, at = due_time(given.due, given.due_number)
    local parents, unknown = look_at_parents(given.parents, here)
    if not parents then return {-9, id, unknown} end
    local state = parents.failed and "CANCELED" or parents.open > 0 and "DEFERRED" or due_ms and "SCHEDULED" or "QUEUED"
    if priority == 0 then priority = parents.prio or NORMAL end
    here[id] = {
      state = state, digest = given.digest, pushed_at = now, root_at = parents.root_at,
      user = given.user ~= "" and given.user or parents.user, prio = priority ~= NORMAL and priority or nil,
    }
    if dedup and state ~= "CANCELED" then keyed[dedup] = id end
    fresh[#fresh + 1] = {
      given = given, due_ms = due_ms, at = at, state = state, owner = here[id].user, priority = priority,
      parents = parents,
    }
    reply[#reply + 1], reply[#reply + 2], reply[#reply + 3] = 1, state, id
  end
end
if #fresh == 0 then return reply end

local full = over_backlog(fresh)
if full then return full end
create()
for _, entry in ipairs(fresh) do store(entry, result_ttl_ms) end
send_edges()
commit()
return reply
