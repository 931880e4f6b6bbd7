"""How a value that was refused is shown in the error: whatever it is, the error stays the one that was meant."""

__all__ = ["shown"]


def shown(value: object, most: int = 80) -> str:
    """Return the beginning of what stands for a value; its type where it cannot be shown, such as a very long number.

    Args:
        value: What was refused.
        most: Characters of it.
    """
    try:
        return repr(value)[:most]
    except Exception:  # noqa: BLE001 - of whatever object a user passed
        return f"<{type(value).__name__} that cannot be shown>"
