"""Locks for which a fork waits, in this module because a lock that is made during a fork would not be held by it.

A child that one thread forks while another one imports a module would inherit the lock of that module, which nothing in
the child releases: the child's own import would hang forever.
"""

import logging  # noqa: F401 - see below
import os
import threading

__all__ = ["import_lock", "starting"]

# A fork takes locks in the reverse order of their registration. The import of logging registers the lock of the log,
# which imports need, too: it has to come first, so that a fork does not hold it while it waits for these.

# Held by every import inside a function. Nothing that runs under it takes another lock of fairque.
import_lock = threading.RLock()
os.register_at_fork(before=import_lock.acquire, after_in_parent=import_lock.release, after_in_child=import_lock.release)

# Held while file locks of the embedded server are taken and passed on. A child forked in between would unknowingly
# inherit a lock, and hold it as long as it lives.
starting = threading.RLock()
os.register_at_fork(before=starting.acquire, after_in_parent=starting.release, after_in_child=starting.release)
