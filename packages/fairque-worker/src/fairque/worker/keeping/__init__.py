"""Keeps what is running: renews leases, ends what is over its time, sends progress."""
