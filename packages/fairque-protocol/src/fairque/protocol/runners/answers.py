"""Error answers of a server: rows of the table in `causes`."""

from typing import Final

from attrs import frozen

from fairque.protocol.errors import ConfigurationError, FairqueError, QueueFull, RedisUnavailable, ServerUnsuitable

__all__ = ["ANSWERS", "UNKNOWN_COMMAND", "Cause"]

_FIND_PRIMARY: Final = "After a failover the address must lead to the new primary (a name in DNS, or a proxy)"


@frozen(kw_only=True)
class Cause:
    """One cause of a call that fails.

    Attributes:
        name: Its name in the table of the README.
        pattern: Regular expression that matches the error's code and text, see `code_and_text`.
        what: The problem, as the continuation of "Redis at URL ".
        fix: What to do, as sentences.
        temporary: Whether the same call may succeed a moment later, so that it is retried.
        kind: The error that is raised if it does not.
        quoted: Whether the text of the server is shown, too.
    """

    name: str
    pattern: str
    what: str
    fix: str
    temporary: bool
    kind: type[FairqueError] = RedisUnavailable
    quoted: bool = True


UNKNOWN_COMMAND: Final = Cause(
    name="unknown command",
    pattern=r"(?i)unknown (redis )?command|unknown subcommand|command is not supported|command not allowed",
    what="does not know a command that fairque needs",
    fix="It may be older than Redis 7.0 or Valkey 7.2, a Sentinel or a proxy, or commands were renamed in its "
    "configuration (rename-command)",
    temporary=False,
    kind=ServerUnsuitable,
)

ANSWERS: Final[tuple[Cause, ...]] = (
    Cause(
        name="OOM",
        pattern=r"^OOM ",
        what="is out of memory (maxmemory): nothing was stored",
        fix="Raise maxmemory, or let workers drain the queue: they need no more memory",
        temporary=False,
        kind=QueueFull,
        quoted=False,
    ),
    Cause(
        name="NOPERM",
        pattern=r"^NOPERM |The user executing the script can't|^ACL failure in script",
        what="reports that its user may not do this",
        fix="Grant the right in the server's ACL (fairque doctor says what a worker lacks; keys and channels of a "
        "queue begin with fairque:{NAME}:), or use another user",
        temporary=False,
        kind=ServerUnsuitable,
    ),
    Cause(
        name="AUTH without a password",
        pattern=r"AUTH <password> called without any password|Client sent AUTH, but no password is set",
        what="refused the user or password: it requires none",
        fix="Remove the password from the address, or set one on the server (requirepass). Sentinels and proxies have "
        "passwords of their own: is this the server itself?",
        temporary=False,
    ),
    Cause(
        name="NOAUTH",
        pattern=r"^NOAUTH |Authentication required|already authenticated|unauthenticated (multi)?bulk",
        what="refused the user or password: the address has none, and the server requires one",
        fix="Write redis://USER:PASSWORD@HOST:PORT/0, percent-encoded; the user is 'default' where there is no other",
        temporary=False,
    ),
    Cause(
        name="WRONGPASS",
        pattern=r"^WRONGPASS |invalid (username-password pair|password)|user is disabled",
        what="refused the user or password",
        fix="Compare them with ACL LIST or requirepass on the server; special characters are percent-encoded in the "
        "address",
        temporary=False,
    ),
    Cause(
        name="DENIED",
        pattern=r"^DENIED |protected mode",
        what="is in protected mode: without a password it only accepts local connections",
        fix="Set a password (requirepass or ACL SETUSER) and 'bind' on the server, and put the password into the "
        "address; 'protected-mode no' admits everyone who can reach the port",
        temporary=False,
        quoted=False,
    ),
    Cause(
        name="max number of clients",
        pattern=r"max number of clients",
        what="accepts no more connections (maxclients)",
        fix="Raise it with CONFIG SET maxclients, or run fewer processes: CLIENT LIST shows who is connected",
        temporary=True,
    ),
    Cause(
        name="LOADING",
        pattern=r"^LOADING ",
        what="is still loading its data after a start",
        fix="Wait: INFO persistence says how far it is (loading_eta_seconds)",
        temporary=True,
    ),
    Cause(
        name="MISCONF",
        pattern=r"^MISCONF ",
        what="cannot write to its disk",
        fix="Free space or fix the permissions there, look at its log, then run BGSAVE",
        temporary=True,
    ),
    Cause(
        name="NOREPLICAS",
        pattern=r"^NOREPLICAS ",
        what="has too few replicas in sync",
        fix="Start them, or lower min-replicas-to-write",
        temporary=True,
    ),
    Cause(
        name="READONLY",
        pattern=r"^READONLY ",
        what="is a replica, which accepts no writes",
        fix=f"Set redis.url to the address of the primary (ROLE and INFO replication name it). {_FIND_PRIMARY}",
        temporary=True,
    ),
    Cause(
        name="MASTERDOWN",
        pattern=r"^MASTERDOWN ",
        what="is a replica that has lost its primary",
        fix=f"Set redis.url to the address of the primary, or promote this one: REPLICAOF NO ONE. {_FIND_PRIMARY}",
        temporary=True,
    ),
    Cause(
        name="BUSY",
        pattern=r"^BUSY ",
        what="is busy with a script",
        fix="It has been running for longer than busy-reply-threshold: if it does not end, SCRIPT KILL or "
        "FUNCTION KILL ends one that has not written yet",
        temporary=True,
    ),
    Cause(
        name="UNKILLABLE",
        pattern=r"^UNKILLABLE ",
        what="is busy with a script that has already written and cannot be ended",
        fix="Wait for its end; SHUTDOWN NOSAVE ends it and loses what is not on disk",
        temporary=True,
    ),
    Cause(
        name="UNBLOCKED",
        pattern=r"^UNBLOCKED ",
        what="ended a wait",
        fix=f"It became a replica, or CLIENT UNBLOCK was sent. {_FIND_PRIMARY}",
        temporary=True,
    ),
    Cause(
        name="NOSCRIPT",
        pattern=r"^NOSCRIPT ",
        what="has forgotten a script that it had just loaded",
        fix="Find out who sends SCRIPT FLUSH repeatedly",
        temporary=True,
    ),
    Cause(
        name="SELECT in a cluster",
        pattern=r"SELECT is not allowed in cluster mode",
        what="is a node of a cluster, which only has database 0",
        fix="Write /0 at the end of redis.url, or use a server that is not a cluster",
        temporary=False,
        kind=ConfigurationError,
    ),
    Cause(
        name="MOVED",
        pattern=r"^MOVED ",
        what="is a node of a cluster, and this queue is on another one",
        fix="Set redis.url to that node, whose slot, host and port the answer names, or use a server that is not a "
        "cluster: fairque does not follow redirections",
        temporary=False,
        kind=ServerUnsuitable,
    ),
    Cause(
        name="ASK, TRYAGAIN",
        pattern=r"^(ASK|TRYAGAIN) ",
        what="is a node of a cluster that is moving this queue to another one",
        fix="Set redis.url to the new node when that is done, or use a server that is not a cluster",
        temporary=True,
    ),
    Cause(
        name="CLUSTERDOWN",
        pattern=r"^CLUSTERDOWN ",
        what="is a node of a cluster that is down or incomplete",
        fix="CLUSTER INFO says what is missing; fairque does not need a cluster, a single server is enough",
        temporary=True,
    ),
    Cause(
        name="CROSSSLOT",
        pattern=r"^CROSSSLOT ",
        what="is a node of a cluster, or a proxy in front of one, that does not keep the keys of a queue together",
        fix="Use a server that is not a cluster",
        temporary=False,
        kind=ServerUnsuitable,
    ),
    Cause(
        name="DB index is out of range",
        pattern=r"(?i)db index is out of range|invalid db index",
        what="answers, but the server has no database number {database}",
        fix="The first is 0; CONFIG GET databases says how many there are",
        temporary=False,
        kind=ConfigurationError,
        quoted=False,
    ),
    Cause(
        name="NOPROTO",
        pattern=r"^NOPROTO |unknown command [`']?HELLO",
        what="does not know this version of the protocol",
        fix="fairque needs Redis 7.0 or Valkey 7.2, or later: upgrade the server, or the proxy in front of it",
        temporary=False,
        kind=ServerUnsuitable,
    ),
    UNKNOWN_COMMAND,
    Cause(
        name="EXECABORT",
        pattern=r"^EXECABORT ",
        what="aborted a transaction, and fairque sends none",
        fix="Something between this process and the server sends commands of its own: connect to the server directly",
        temporary=False,
        kind=ServerUnsuitable,
    ),
)
