-- cancel_with: cancels a task because a task that it depends on did not finish.
local function cancel_with(t, parent, ttl_ms)
  local why = "task " .. parent .. ", on which it depends, did not finish"
  conclude(t, "CANCELED", '"' .. string.gsub(why, '["\\]', "\\%0") .. '"', ttl_ms)
end
