-- globals_format: how the scheduler record is packed; see globals for its values. The flags are 1 test clock, 2 each
-- task costs one, 4 backlog of the queue, 8 somebody may have CRITICAL tasks, 16 and above: not for quick paths.
local GLOBALS, GLOBALS_SIZE, GLOBALS_VERSION = "<BBBBdddddddddddddd", 116, 1
