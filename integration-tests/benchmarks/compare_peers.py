"""fairque compared with other task queues, each in an environment of its own and on a server of its own.

    hatch run peers:compare                     all queues, all workloads
    hatch run peers:compare huey drain latency  some of them; fairque is always among them
    hatch run peers:compare --json build/peers.json
    hatch run charts:peers build/peers.json     the chart of the README

All run the same tasks, with an argument of 200 bytes, each in the fastest configuration that its documentation
describes for them. Figures are ratios to fairque in the same run, then medians of the rounds.
"""

from bench import WORKLOADS, arguments, run
from catalog import PEERS
from environments import Missing, peer_side

COMPARED = ("drain", "drain-async", "drain-two", "sleeps", "push", "push-bulk", "latency", "idle")


def main() -> None:
    """Do what the command line says."""
    options = arguments(__doc__, [*PEERS, *COMPARED]).parse_args()
    if unknown := [name for name in options.names if name not in (*PEERS, *COMPARED)]:
        raise SystemExit(f"unknown: {', '.join(unknown)}; there are {', '.join((*PEERS, *COMPARED))}")
    queues = [name for name in PEERS if name in options.names] or list(PEERS)
    workloads = [WORKLOADS[name] for name in COMPARED if name in options.names or not {*COMPARED} & {*options.names}]
    sides, notes = [], []
    for name in dict.fromkeys(["fairque", *queues]):
        try:
            sides.append(peer_side(name))
        except Missing as error:
            notes.append(f"{name} is left out: {error}")
    run(sides, workloads, options, notes)


if __name__ == "__main__":
    main()
