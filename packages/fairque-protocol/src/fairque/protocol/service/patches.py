"""Refuses patches of the standard library that replace threads, so that a service cannot keep its guarantees."""

import sys

from fairque.protocol.errors import ConfigurationError

__all__ = ["patched_by", "refuse_patches"]


def refuse_patches(service: str) -> None:
    """Check that the threads of this process are real threads.

    Args:
        service: Name of the service, such as ``worker``.

    Raises:
        ConfigurationError: They are those of gevent or eventlet, of which none runs while another one computes.
    """
    library = patched_by()
    if library is None:
        return
    problem = (
        f"{library} has patched the threads of this process (monkey patching), and a {service} needs real ones: while "
        "one of those computes, none of the others runs, so leases end and others do the same work again. Start the "
        f"{service} in a process of its own without the patches, and import no module there that patches; pushing and "
        "waiting work under them"
    )
    raise ConfigurationError([problem])


def patched_by() -> str | None:
    """Return the library that has patched the threads of this process, if one has."""
    # Looked up, not imported: a library that has patched is imported already.
    gevent = sys.modules.get("gevent.monkey")
    if gevent is not None and any(map(gevent.is_module_patched, ("threading", "thread", "_thread"))):
        return "gevent"
    eventlet = sys.modules.get("eventlet.patcher")
    if eventlet is not None and eventlet.is_monkey_patched("thread"):
        return "eventlet"
    return None
