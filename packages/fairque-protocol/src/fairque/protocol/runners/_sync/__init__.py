"""The part of the synchronous runner that `scripts/unasync.py` generates from `fairque.protocol.runners._async`."""
