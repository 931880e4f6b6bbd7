-- bind: links a new task to its parents: it waits for those that have not ended, and all keep their values for it.
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
