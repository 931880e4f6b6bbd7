"""The text of a refused value in an error message: whatever the value is, making the text does not raise."""

__all__ = ["safe_repr"]


def safe_repr(value: object, most: int = 80) -> str:
    """Return the beginning of what stands for a value; its type where it cannot be shown, such as a very long number.

    Args:
        value: What was refused.
        most: Characters of it.
    """
    try:
        return repr(value)[:most]
    except Exception:  # noqa: BLE001 - of whatever object a user passed
        return f"<{type(value).__name__} that cannot be shown>"
