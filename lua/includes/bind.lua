-- bind: ties a new task to its parents: it waits for those that have not ended, and all keep their values for it.
local function defer(t, open, due_ms)
  t.r.open, t.r.due = open, due_ms
  add_to("deferred", now_ms, t.id)
  add_to("s:" .. t.r.user, "+inf", t.id)
end

-- Keeps an ended task, which is to be forgotten at its time, for its dependents.
local function hold(t)
  send_index("kept") -- it may have ended in this very call
  local until_ms = tonumber(call("ZSCORE", P .. "kept", t.id)) or now_ms
  t.r.keep = math.max(0, until_ms - t.r.ended_at)
  take_from("kept", t.id)
  add_to("held", until_ms, t.id)
end

-- Lets the parents of a task know of it: those that have not ended are to tell it, and all keep their values for it.
local function bind(t, parents)
  for _, parent in ipairs(parents.list) do
    call("RPUSH", P .. "d:" .. parent.id, parent.edge .. t.id)
    local of_parent = task(parent.id)
    local r = of_parent.r
    if parent.edge == "n" and not r.keep then hold(of_parent) end
    r.kids = true
    will_write(of_parent)
  end
end
