"""The holder of the lock of schedulers, which identifies the leader."""

__all__ = ["holder_of", "name_of_holder"]


def holder_of(name: str, nonce: str) -> str:
    """Return the value by which a scheduler holds the lock: its name, and a nonce that is unique to its process."""
    return f"{name}#{nonce}"


def name_of_holder(holder: str) -> str:
    """Return the name of the scheduler of a holder."""
    return holder.rpartition("#")[0] or holder
