"""The meaning of each signal to a worker, and to the supervisor of several workers."""

import signal

from fairque.protocol.service.signals import STOPPING, Order

__all__ = ["SIGNALS"]

SIGNALS = {**STOPPING, signal.SIGTSTP: Order.PAUSE, signal.SIGCONT: Order.RESUME, signal.SIGUSR1: Order.DUMP}
