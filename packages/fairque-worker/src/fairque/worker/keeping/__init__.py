"""Looks after running tasks: renews leases, enforces timeouts, sends progress."""
