"""Asks a service over its HTTP port whether it is healthy, for a health check on the same machine."""

from http.client import HTTPConnection, HTTPException

__all__ = ["ask_probe"]

_SECONDS = 5.0
_OK = 200
#: A service that listens on all interfaces is asked on the local one.
_HERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - to ask, not to listen


def ask_probe(host: str, port: int, *, ready: bool) -> tuple[bool, str]:
    """Return whether a service is healthy, and its answer in one line.

    Args:
        host: The address on which it listens.
        port: The port.
        ready: Whether to ask if it is ready, and not only if it is alive.
    """
    host, path = _HERE.get(host, host), "/readyz" if ready else "/livez"
    connection = HTTPConnection(host, port, timeout=_SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace").strip()
    except (OSError, HTTPException) as error:
        return False, f"{host}:{port}{path}: no answer: {error}"
    finally:
        connection.close()
    return answer.status == _OK, f"{host}:{port}{path}: {answer.status} {text}"
