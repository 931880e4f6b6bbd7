"""Configuration: settings classes, the loader of ``config/*.yaml`` and the environment, and validators.

Importing it does not import PyYAML; only `load_settings` needs the extra ``fairque-protocol[yaml]``.
"""

from fairque.protocol.config.fairness import FairnessSection
from fairque.protocol.config.loader import SECTIONS, Loadable, Option, load_settings, trace_settings
from fairque.protocol.config.masking import is_secret, mask_addresses, mask_url
from fairque.protocol.config.seconds import Seconds, seconds
from fairque.protocol.config.settings import MESSAGE_LIMIT_MAX, LogSection, QueueSection, RedisSection
from fairque.protocol.config.validators import (
    Validator,
    at_least,
    at_most,
    between,
    boolean,
    matches,
    positive,
)

__all__ = [
    "MESSAGE_LIMIT_MAX",
    "SECTIONS",
    "FairnessSection",
    "Loadable",
    "LogSection",
    "Option",
    "QueueSection",
    "RedisSection",
    "Seconds",
    "Validator",
    "at_least",
    "at_most",
    "between",
    "boolean",
    "is_secret",
    "load_settings",
    "mask_addresses",
    "mask_url",
    "matches",
    "positive",
    "seconds",
    "trace_settings",
]
