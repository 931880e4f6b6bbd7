"""The part of the asynchronous runner from which `scripts/unasync.py` generates that of the synchronous one."""
