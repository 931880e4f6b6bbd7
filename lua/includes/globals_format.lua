-- globals_format: how the scheduler record is packed; see globals for its values.
local GLOBALS, GLOBALS_SIZE, GLOBALS_VERSION = "<BBBdddddddddd", 83, 1
