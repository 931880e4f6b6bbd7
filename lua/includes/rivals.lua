-- rivals: the users that pop chooses from: the first ones of each ring, with the records of the first of those.
--- @include "heads"
local ready, fresh, critical

-- Reads `size` users of each ring, and the records of the first `wanted`.
local function load_heads(size, wanted)
  ready = heads("ready", size, function(u, score) return u.r.lane == "R" and u.r.S == score end)
  fresh = heads("fresh", size, function(u) return u.r.lane == "F" end)
  critical = heads("critical", size, function(u, score) return u.r.borrows and limit(u) == score end)
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
  if u.r.borrows then insert(critical, u.id, limit(u)) end
end
