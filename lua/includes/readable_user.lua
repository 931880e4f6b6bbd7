-- readable_user: whether the fields of a user's record are usable. Tags may be negative.
local function readable_user(r)
  return r.S < TOP and r.inf >= 0 and r.inf < TOP and r.clk >= 0 and r.clk < TOP and r.served >= 0 and r.served < TOP
    and r.since >= 0 and r.since < TOP and (not r.cs or sane(r.cs)) and (not r.tat or sane(r.tat))
    and (not r.ewma or sane(r.ewma)) and (not r.leeway or sane(r.leeway)) and (not r.cut or r.cut < TOP)
end
