"""Asks a service over its HTTP port whether it is well: what a health check of the same machine does."""

from http.client import HTTPConnection, HTTPException

__all__ = ["ask_probe"]

_SECONDS = 5.0
_OK = 200
#: What listens everywhere is asked here.
_HERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - to ask, not to listen


def ask_probe(host: str, port: int, *, ready: bool) -> tuple[bool, str]:
    """Return whether a service is well, and its answer in a line.

    Args:
        host: Where it listens.
        port: And on which port.
        ready: Ask whether it is ready, rather than alive.
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
