-- let_go: forgets tasks that left more than a result: values for those that depend on them. These are kept until the
-- last of their dependents has ended, and from then on for their time of keeping.
local LOOKED_AT = 10 -- dependents of a task that one call looks at
local ENDED = {FINISHED = true, FAILED = true, CANCELED = true}

-- Whether a dependent still needs the task, and whether any that need it no more have just left its list.
local function still_needed(t)
  local list = P .. "d:" .. t.id
  local r, needed, gone = t.r, false, 0
  for _, line in ipairs(call("LRANGE", list, 0, LOOKED_AT - 1)) do
    local child = record(P .. "t:" .. string.sub(line, 2))
    needed = child and not ENDED[child.state]
    if needed then break end
    gone, r.last = gone + 1, math.max(r.last or 0, child and child.ended_at or 0)
  end
  if gone > 0 then
    call("LTRIM", list, gone, -1)
    r.told = math.max(0, (r.told or 0) - gone)
    will_write(t)
  end
  return needed, gone > 0
end

local function let_go(limit)
  local ids = call("ZRANGEBYSCORE", P .. "held", "-inf", int(now_ms), "LIMIT", 0, limit)
  for _, id in ipairs(ids) do
    local t = task(id)
    local needed, looked = still_needed(t)
    local until_ms = needed and now_ms + t.r.keep or looked and now_ms or (t.r.last or 0) + (t.r.keep or 0)
    if needed or looked or until_ms > now_ms then
      add_to("held", until_ms, id)
    else
      for _, kind in ipairs({"t:", "m:", "r:", "p:", "x:", "d:"}) do drop_key(P .. kind .. id) end
      take_from("held", id)
      take_from("dead", id)
    end
  end
  return #ids
end
