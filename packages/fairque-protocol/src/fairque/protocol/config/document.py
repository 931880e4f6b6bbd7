"""Reads a YAML file into nodes. The one module that imports PyYAML.

The text is composed, never constructed: no tag can make an object, and a plain scalar stays the text that was
written. Duplicate keys are found at any depth. Aliases, merge keys and tags are refused: a file of settings
does not need them, and they hide what a key is set to.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from attrs import evolve, field, frozen

from fairque.protocol.config.nodes import Node, Problem
from fairque.protocol.config.scalars import describe, read_plain, substitute
from fairque.protocol.errors import ConfigurationError

__all__ = ["read_document"]

_REFUSED = "refused"
_DEPTH_MAX = 32


def read_document(path: str | os.PathLike[str], environ: Mapping[str, str]) -> tuple[Node, list[Problem]]:
    """Read a file with one YAML document whose top level is a mapping.

    Args:
        path: The file.
        environ: The variables that ``${NAME}`` refers to.

    Returns:
        The document (empty for an empty text), and the problems that do not stop the reading.

    Raises:
        ConfigurationError: The file cannot be read, is not YAML, or its top level is not a mapping.
    """
    source, text = os.fspath(path), _read_text(path)
    reader = _Reader(source, environ)
    try:
        root = yaml.compose(text, Loader=_Composer)
        document = reader.read(root) if root else Node(source, line=1)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        problem = f"{source}:{line}: not valid YAML: {error.reason}"
    except yaml.MarkedYAMLError as error:
        problem = _syntax_problem(error, source)
    except RecursionError:
        problem = f"{source}: nested too deeply to be a file of settings"
    except (yaml.YAMLError, ValueError, OverflowError):
        # PyYAML lets a few errors of Python's int() and chr() through; their texts help nobody.
        problem = f"{source}: not valid YAML: a number or an escape is out of range"
    else:
        if document.is_mapping:
            return document, reader.problems
        problem = str(document.problem("the top level must be a mapping of sections, such as 'redis:'"))
    raise ConfigurationError([problem])


def _read_text(path: str | os.PathLike[str]) -> str:
    name = os.fspath(path)
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        problem = f"{name}: no such file; relative paths start at {Path.cwd()}"
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        problem = f"{name}:{line}: not UTF-8: save the file as UTF-8"
    except OSError as error:
        problem = f"{name}: cannot be read: {error.strerror}"
    except ValueError as error:
        problem = f"{name}: cannot be read: {error}"
    raise ConfigurationError([problem])


def _syntax_problem(error: yaml.MarkedYAMLError, source: str) -> str:
    mark = error.problem_mark or error.context_mark
    line = f":{mark.line + 1}" if mark else ""
    what = ", ".join(part for part in (error.context, error.problem) if part)
    advice = " (indent with spaces, not with tabs)" if "\\t" in what else ""
    return f"{source}{line}: not valid YAML: {what}{advice}"


class _Composer(yaml.SafeLoader):
    """Composes what is refused to a node that says why: it is reported where it stands, and no alias multiplies."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]  # the stubs leave it out
        if isinstance(event, yaml.AliasEvent):
            self.get_event()  # type: ignore[no-untyped-call]  # the same
            why = "aliases (*name) are not read: write the value out"
        else:
            node = super().compose_node(parent, index)
            if event.tag is None:
                return node
            why = "tags (!name) are not read: to mean a string, quote it"
        return yaml.ScalarNode(_REFUSED, why, event.start_mark, event.end_mark)


@frozen
class _Reader:
    source: str
    environ: Mapping[str, str]
    problems: list[Problem] = field(factory=list)

    def read(self, node: Any, path: tuple[str | int, ...] = (), key_line: int = 0) -> Node:
        found = Node(self.source, node.value, path, node.start_mark.line + 1, key_line)
        if node.tag == _REFUSED:
            return evolve(found, style="unusable")
        if len(path) > _DEPTH_MAX:
            return evolve(found, value=f"nested more than {_DEPTH_MAX} deep", style="unusable")
        if isinstance(node, yaml.MappingNode):
            return evolve(found, value=self._entries(node, path))
        if isinstance(node, yaml.SequenceNode):
            return evolve(found, value=[self.read(item, (*path, index)) for index, item in enumerate(node.value)])
        return self._substituted(evolve(found, style="quoted" if node.style else "plain"))

    def _substituted(self, node: Node) -> Node:
        text = str(node.value)
        if "${" not in text:
            return node
        try:
            text, whole = substitute(text, self.environ)
        except ValueError as error:
            return evolve(node, value=str(error), style="unusable")
        # Partly replaced text was a string before and stays one; only a whole ${NAME} is read as YAML again.
        return evolve(node, value=text, style=node.style if whole else "joined", is_substituted=True)

    def _entries(self, node: yaml.MappingNode, path: tuple[str | int, ...]) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        for key_node, value_node in node.value:
            key, line = key_node.value, key_node.start_mark.line + 1
            if problem := _problem_of_key(key_node):
                self.problems.append(Node(self.source, "", path, line).problem(problem))
                continue
            entry = self.read(value_node, (*path, key), line)
            first = entries.setdefault(key, entry)
            if first is not entry:
                problem = f"duplicate key (the first is on line {first.key_line}): remove one"
                self.problems.append(entry.problem(problem, at_key=True))
        return entries


def _problem_of_key(node: yaml.Node) -> str | None:
    if node.tag == _REFUSED:
        return str(node.value)
    if not isinstance(node, yaml.ScalarNode):
        return "a key must be a string, found a list or a mapping"
    if node.style is None and node.value == "<<":
        return "merge keys (<<) are not read: write the keys out"
    if node.style is None and not isinstance(value := read_plain(node.value), str):
        return f"a key must be a string, found {describe(value, node.value, hidden=False)} (quote it)"
    return None
