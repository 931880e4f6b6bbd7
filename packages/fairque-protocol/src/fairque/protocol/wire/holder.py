"""The holder of the lock of schedulers: which scheduler leads."""

__all__ = ["holder_of", "name_of_holder"]


def holder_of(name: str, nonce: str) -> str:
    """Return the holder that stands in the lock for a scheduler: its name, and what no other process has."""
    return f"{name}#{nonce}"


def name_of_holder(holder: str) -> str:
    """Return the name of the scheduler that a holder stands for."""
    return holder.rpartition("#")[0] or holder
