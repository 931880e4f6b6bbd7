"""``fairque acl``: writes an ACL file for each role, with the rights that its scripts need."""

from pathlib import Path

import click

from fairque.console.options import as_json, say
from fairque.protocol.service.usage import Command

__all__ = ["command"]


@click.command("acl", cls=Command)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--queue", default="", help="Grant rights for this queue only.  [default: all queues]")
@as_json
def command(folder: Path, queue: str, *, as_json: bool) -> None:
    """Write an ACL file for each role into FOLDER: producer, worker, scheduler, viewer and admin.

    The password of a role is read from FAIRQUE_ACL_PRODUCER, _WORKER, _SCHEDULER, _VIEWER or _ADMIN, and only its hash
    is written; a role without a password is disabled. Add the lines to the file that `aclfile` names in the
    configuration of the server, together with a line for your own user, then run ACL LOAD.
    """
    import os

    from fairque.protocol.wire.keys import check_queue_name
    from fairque.protocol.wire.rights import ROLES

    if queue:
        try:
            check_queue_name(queue)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--queue") from None
    folder.mkdir(parents=True, exist_ok=True)
    values, lines = [], []
    for role in ROLES:
        password = os.environ.get(f"FAIRQUE_ACL_{role.upper()}", "")
        path = folder / f"{role}.acl"
        path.write_text(_line(role, queue, password) + "\n")
        values.append({"role": role, "path": str(path), "enabled": bool(password)})
        lines.append(f"{path}" if password else f"{path} (off: FAIRQUE_ACL_{role.upper()} is not set)")
    say(values, lines, as_json=as_json)


def _line(role: str, queue: str, password: str) -> str:
    """Return the line of an ACL file for a role."""
    import hashlib

    from fairque.protocol.wire.rights import acl_rules

    state = f"on #{hashlib.sha256(password.encode()).hexdigest()}" if password else "off"
    return f"user fairque-{role} reset {state} {acl_rules(role, queue)}"
