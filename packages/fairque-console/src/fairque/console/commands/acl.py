"""Writes an ACL file for each role of fairque, of what its scripts call: python scripts/acl.py FOLDER [QUEUE].

The password of a role is taken from FAIRQUE_ACL_PRODUCER, _WORKER, _SCHEDULER, _VIEWER or _ADMIN, and only its hash is
written; a role without one is written as off. Put the lines into the file that `aclfile` names in the configuration of
the server, then ACL LOAD; beside them belongs a line for your own user.
"""

import hashlib
import os
import sys
from pathlib import Path

from fairque.protocol.wire.keys import check_queue_name
from fairque.protocol.wire.rights import ROLES, acl_rules


def line(role: str, queue: str, password: str) -> str:
    """Return the line of an ACL file for a role."""
    state = f"on #{hashlib.sha256(password.encode()).hexdigest()}" if password else "off"
    return f"user fairque-{role} reset {state} {acl_rules(role, queue)}"


def main(folder: Path, queue: str = "") -> None:
    """Write the files, for one queue or for all."""
    if queue:
        check_queue_name(queue)
    folder.mkdir(parents=True, exist_ok=True)
    for role in ROLES:
        password = os.environ.get(f"FAIRQUE_ACL_{role.upper()}", "")
        path = folder / f"{role}.acl"
        path.write_text(line(role, queue, password) + "\n")
        print(path, "" if password else f"(off: FAIRQUE_ACL_{role.upper()} is not set)")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(Path(sys.argv[1]), *sys.argv[2:])
