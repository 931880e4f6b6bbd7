"""Limits that settings, keys and calls all check, in the one place that none of them has to reach into another for."""

__all__ = ["COUNT", "QUEUE_NAME", "RATE", "WEIGHT"]

#: What the name of a queue matches as a whole.
QUEUE_NAME = r"[A-Za-z0-9_.@-]{1,64}"

# Least and greatest value of what is set for users; lua/limit.lua has the same.
#: Of a weight.
WEIGHT = (0.01, 100.0)
#: Of a cap, a burst and a backlog: whole numbers.
COUNT = (1, 1_000_000_000)
#: Of a rate, in starts a second.
RATE = (0.000_001, 1_000_000.0)
