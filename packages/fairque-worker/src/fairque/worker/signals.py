"""What each signal means to a worker, and to the process that several workers run under."""

import signal

from fairque.protocol.service.signals import STOPPING, Order

__all__ = ["SIGNALS"]

SIGNALS = {**STOPPING, signal.SIGTSTP: Order.PAUSE, signal.SIGCONT: Order.RESUME, signal.SIGUSR1: Order.DUMP}
