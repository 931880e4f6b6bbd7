"""The synchronous client, generated from `fairque.client._async` by `scripts/unasync.py`."""
