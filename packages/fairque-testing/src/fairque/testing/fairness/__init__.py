"""The scheduling model: the algorithm of the Lua scripts in plain Python, in virtual time, and a simulation over it."""
