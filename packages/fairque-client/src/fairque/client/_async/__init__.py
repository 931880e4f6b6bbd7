"""The client for asyncio. `scripts/unasync.py` generates the synchronous one, `fairque.client._sync`, from it."""
