#!lua flags=allow-oom
--[[ beat: renews all leases of a worker in one call, and charges the run time of its tasks beyond their estimates.
  Guarantee: a lease is renewed only for the token that holds it, and not beyond the timeout of its task.
  KEYS[1] meta
  ARGV[1] lease_ms
  ARGV[2..] for each task: id, token
  Returns {1, code, ...} with one place per task: {1} renewed, {4} renewed and asked to stop, {5} overdue and not
    renewed, {-1} lost | {-5, what} | {-6, schema} ]]
--- @include "begin"
--- @include "arguments"
--- @include "writes"
--- @include "tasks"
--- @include "user_record"
--- @include "users"
--- @include "enter"
local refused = begin()
if refused then return refused end
local lease_ms = number_at(1)
if not lease_ms or lease_ms < 1 or not grouped(1, 2) then
  return bad_arguments("beat takes a lease and an id and a token for each task")
end

read_ahead(1, 2)
local reply = {1}
for first = 2, #ARGV, 2 do
  local t = task(ARGV[first])
  local r, code = t.r, -1
  if r.state == "STARTED" and r.token == ARGV[first + 1] then
    local started = started_at(t)
    code = r.cancel and 4 or 1
    if math.floor(started / 1000) + (r.timeout or 3600000) <= now_ms then
      code = 5
    else
      add_to("running", int(now_ms + lease_ms), t.id)
    end
    if now - started > r.charged and not counted then
      local u = user(r.user)
      -- Without a beat a task runs for one lease at most. More time has passed only if the server's clock jumped ahead.
      local more = math.min(now - started - r.charged, lease_ms * 1000)
      u.r.S, r.charged = u.r.S + more / u.w, r.charged + more
      will_write(t)
    end
  end
  reply[#reply + 1] = code
end
commit()
return reply
