-- pick: chooses the user that is served next.
--- @include "access"
--- @include "begin"
--- @include "writes"
--- @include "user_record"
--- @include "rings"
--- @include "users"

-- The first users of a ring, kept in order in memory while pop serves them. An entry is stale once its user has
-- moved: it is skipped when it comes first. The rest of the ring is not read: the heads are as many users as one pop
-- can look at, so none of the rest can come first before its end.
local function heads(ring, size, stands_at)
  local found = call("ZRANGEBYSCORE", P .. ring, "-inf", "+inf", "WITHSCORES", "LIMIT", 0, size)
  local list = {ids = {}, scores = {}, first = 1, last = #found / 2, more = #found == 2 * size, stands_at = stands_at}
  for place = 1, list.last do
    list.ids[place], list.scores[place] = found[2 * place - 1], tonumber(found[2 * place])
  end
  return list
end

local function head(list)
  while list.first <= list.last do
    local id, score = list.ids[list.first], list.scores[list.first]
    local u = users[id]
    if not u or list.stands_at(u, score) then return id, score end
    list.first = list.first + 1
  end
end

local function insert(list, id, score)
  local place, ids, scores = list.last, list.ids, list.scores
  if list.more and (place < list.first or comes_after(score, id, scores[place], ids[place])) then return end
  while place >= list.first and comes_after(scores[place], ids[place], score, id) do
    ids[place + 1], scores[place + 1] = ids[place], scores[place]
    place = place - 1
  end
  ids[place + 1], scores[place + 1] = id, score
  list.last = list.last + 1
end

-- The users that pop chooses from: the first ones of each ring, with the records of the first of those.
local ready, fresh, critical

-- Reads `size` users of each ring, and the records of the first `wanted`.
local function load_heads(size, wanted)
  ready = heads("ready", size, function(u, score) return u.r.lane == "R" and u.r.S == score end)
  fresh = heads("fresh", size, function(u) return u.r.lane == "F" end)
  critical = heads("critical", size, function(u, score) return u.r.borrows and critical_from(u) == score end)
  local ids = {}
  for _, ring in ipairs({ready, fresh}) do
    for place = 1, math.min(wanted, ring.last) do
      ids[#ids + 1] = ring.ids[place]
    end
  end
  read_users(ids)
end

-- After a user was served or moved: updates its place among the heads.
local function put_among_heads(u)
  if u.r.lane == "R" then insert(ready, u.id, u.r.S) end
  if u.r.borrows then insert(critical, u.id, critical_from(u)) end
end

-- The user to serve next, or nil if no task is runnable. It advances virtual time, and charges nothing.
local FRESH_RUN = 8   -- R_b: pops in a row that may skip the ready ring
local CREDIT_RUN = 3  -- R_c: pops in a row on CRITICAL credit

local function pick()
  local borrower, from = head(critical)
  local user_id, tag = head(ready)
  -- A user behind V is never skipped: its limit may keep it from making up for the lost turn.
  local lends = not tag or tag >= g.V
  if borrower and from <= g.V and lends and g.cg < CREDIT_RUN and g.bs < FRESH_RUN then
    g.cg, g.bs = g.cg + 1, g.bs + 1
    return borrower
  end
  local newcomer = head(fresh)
  if newcomer and g.bs < FRESH_RUN then
    g.cg, g.bs = 0, g.bs + 1
    return newcomer
  end
  g.bs = 0
  -- Credit that skipped a fresh user stays used, or each round could begin with three more CRITICAL pops.
  if not user_id or not newcomer then g.cg = 0 end
  if not user_id then return newcomer end
  if tag < TOP then g.V = math.max(g.V, tag) end
  return user_id
end

-- Checks at most `limit` users that paid their debts; the end of the script deletes records without use.
local function collect(limit)
  local paid = call("ZRANGEBYSCORE", P .. "owe", "-inf", string.format("%.17g", g.V), "LIMIT", 0, limit)
  for _, id in ipairs(paid) do
    local u = user(id)
    take_from("owe", id) -- otherwise a user whose record disagrees would stay first forever
    u.owed = false
  end
  return #paid
end
