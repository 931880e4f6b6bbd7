-- boost: the head start of each priority, in microseconds; keep equal to score.py.
local NORMAL = 3
local CRITICAL = 6
local BOOST = {0, 60000000, 120000000, 180000000, 240000000}
