-- comes_after: whether one member of a ring is behind another in the server's order: by score, then by bytes.
local function comes_after(score, id, other_score, other_id)
  if score ~= other_score then return score > other_score end
  for index = 1, math.min(#id, #other_id) do
    local a, b = string.byte(id, index), string.byte(other_id, index)
    if a ~= b then return a > b end
  end
  return #id > #other_id
end
