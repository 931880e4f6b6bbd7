"""The task of the demo: real work on real files."""

import hashlib
import lzma
from pathlib import Path

from fairque.client import task


@task(timeout=30)
def archive(path: str) -> dict[str, int | str]:
    """Compress a file as for an archive, and return its sizes and hash."""
    data = Path(path).read_bytes()
    return {"bytes": len(data), "packed": len(lzma.compress(data)), "sha256": hashlib.sha256(data).hexdigest()}
