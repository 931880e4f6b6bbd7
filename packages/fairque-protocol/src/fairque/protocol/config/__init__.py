"""Configuration: settings classes, the loader of ``config/*.yaml`` and the environment, and validators.

Importing it does not import PyYAML; only `load_settings` needs the extra ``fairque-protocol[yaml]``.
"""

from fairque.protocol.config.fairness import DefaultLimits, FairnessSettings, UserLimits
from fairque.protocol.config.loader import SECTIONS, load_settings, settings_from_environ, tell_settings
from fairque.protocol.config.masking import is_secret, mask_addresses, mask_url
from fairque.protocol.config.settings import MESSAGE_LIMIT_MAX, QueueSettings, RedisSettings
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
    "DefaultLimits",
    "FairnessSettings",
    "QueueSettings",
    "RedisSettings",
    "UserLimits",
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
    "settings_from_environ",
    "tell_settings",
]
