-- quick_finish: ends plain attempts without the functions of the rest of the script, as quick_push stores plain tasks.
--- @include "access"
--- @include "formats"
repeat
  if #ARGV < 2 then break end
  local head, ttl = 1, ARGV[1]
  local codes
--- @include "quick_begin"
--- @include "quick_endings"
--- @include "quick_end"
  do return codes end
until true
