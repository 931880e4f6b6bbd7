-- quick_pop: ends attempts and gives a worker tasks without the functions of the rest of the script, as quick_push
-- stores plain tasks. It gives tasks if nothing is due, nobody has CRITICAL ones, none has a hint of its cost, and all
-- records are sound. Otherwise the rest gives them; `ended` is the answer about what was ended before.
--- @include "access"
--- @include "formats"
repeat
  local worker, claim, plain = ARGV[1], ARGV[2], #ARGV >= 7
  for index = 3, 7 do
    local number = plain and tonumber(ARGV[index])
    plain = number and number >= 0 and number < 2 ^ 52 and number % 1 == 0
  end
  if not plain or worker == "" or #worker > 255 or not string.find(claim, "^%x+$") or #claim > 200 then break end
  local wanted, lease_ms = tonumber(ARGV[3]), tonumber(ARGV[4])
  if wanted < 1 or wanted > 100 or lease_ms < 1 then break end
--- @include "quick_begin"
  local claim_key = P .. "claim:" .. worker
  local before = read("GET", claim_key)
  if before and (before.err or string.sub(before, 1, #claim + 1) == claim .. "\n") then break end
  -- Before the endings: what is due may give work to a user that they would let go.
  if next_at <= now_ms then
    local running = read("ZRANGE", P .. "running", "0", "0", "WITHSCORES")
    local delayed = read("ZRANGE", P .. "delayed", "0", "0", "WITHSCORES")
    local timers = read("ZRANGE", P .. "timers", "0", "0", "WITHSCORES")
    if running.err or delayed.err or timers.err or read("EXISTS", P .. "pending") ~= 0 then break end
    next_at = math.min(2 ^ 53, tonumber(running[2] or 2 ^ 53), tonumber(delayed[2] or 2 ^ 53),
      math.ceil(tonumber(timers[2] or 2 ^ 63) / 1000))
    if next_at <= now_ms then break end
  end
  local head, ttl, codes = 7, ARGV[6], {1}
  if #ARGV > head then
--- @include "quick_endings"
    ended = codes
  end

  local reply, more, ready_left -- whether the ready ring has more users than were read, and users after this
  local V_before, bs_before, cg_before = V, bs, cg
  repeat
--- @include "quick_plan"
    if who == 0 and not paid then
      bs, cg, reply = 0, 0, {1, 1, 0, {}, codes, now}
    else
--- @include "quick_turns"
--- @include "quick_grant"
    end
  until true
  if reply then
    pop_at = now_ms
--- @include "quick_wait"
  else
    V, bs, cg = V_before, bs_before, cg_before
  end
  if reply or ended then
--- @include "quick_end"
  end
  if reply then return reply end
until true
