"""Fails the build when the Lua scripts are not reachable: a wheel without them would break at run time only."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ScriptsGuard(BuildHookInterface[Any]):
    """Refuses to build a distribution that holds no scripts."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's signature
        """Look for the scripts behind the directory link ``src/fairque/protocol/lua``."""
        folder = Path(self.root, "src", "fairque", "protocol", "lua")
        if not any(folder.glob("*.lua")):
            raise FileNotFoundError(
                f"no Lua script in {folder}: it is a directory link to the lua/ folder at the top of the "
                "repository. Build from a full checkout with symbolic links enabled "
                "(git config core.symlinks true), or from the sdist."
            )
