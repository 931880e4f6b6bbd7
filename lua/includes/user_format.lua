-- user_format: how the record of a user begins: S, served, since, ewma (0: none), inf and the number of its lane.
local USER, USER_SIZE = "<ddddI4B", 37
-- Added to the number of the lane if the user is in the critical ring; and if it has tasks in `z:`.
local BORROWS = 4
local SORTED = 8
-- No user is so far behind virtual time, in µs: half a year.
local FAR = 2 ^ 44
