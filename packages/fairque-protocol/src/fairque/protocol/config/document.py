"""Reads a YAML text into nodes with line numbers. The one module that imports PyYAML.

The text is composed, never constructed: no tag can make an object, and a plain scalar stays the text that was
written. Duplicate keys are found at any depth. Aliases, merge keys and tags are refused: a file of settings
does not need them, and they hide what a key is set to.
"""

from collections.abc import Mapping
from typing import TypeAlias, cast

import yaml
from attrs import evolve, field, frozen

from fairque.protocol.config.nodes import Node, Place, Problem, join
from fairque.protocol.config.scalars import describe, read_plain, substitute
from fairque.protocol.errors import ConfigurationError

__all__ = ["read_document"]

_AnyNode: TypeAlias = yaml.ScalarNode | yaml.SequenceNode | yaml.MappingNode

_ALIAS = "an alias"
_DEPTH_MAX = 32
_MAPPING_TAG = "tag:yaml.org,2002:map"
_SEQUENCE_TAG = "tag:yaml.org,2002:seq"


def read_document(text: str, source: str, environ: Mapping[str, str]) -> tuple[Node, list[Problem]]:
    """Read one YAML document whose top level is a mapping.

    Args:
        text: The YAML text.
        source: Name of the file, for the messages.
        environ: The variables that ``${NAME}`` refers to.

    Returns:
        The document (empty for an empty text), and the problems that do not stop the reading.

    Raises:
        ConfigurationError: The text is not YAML, or its top level is not a mapping.
    """
    reader = _Reader(source, environ)
    try:
        root = cast("_AnyNode | None", yaml.compose(text, Loader=_Composer))
        document = Node(Place(source, 1), "", {}) if root is None else reader.read(root, "", depth=0)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigurationError([f"{source}:{line}: not valid YAML: {error.reason}"]) from None
    except yaml.MarkedYAMLError as error:
        raise ConfigurationError([_syntax_problem(error, source)]) from None
    except RecursionError:
        raise ConfigurationError([f"{source}: nested too deeply to be a file of settings"]) from None
    except (yaml.YAMLError, ValueError, OverflowError):
        # PyYAML lets a few errors of Python's int() and chr() through; their texts help nobody.
        raise ConfigurationError([f"{source}: not valid YAML: a number or an escape is out of range"]) from None
    if document.is_blank:
        return Node(Place(source, 1), "", {}), []
    if isinstance(document.value, dict):
        return document, reader.problems
    raise ConfigurationError(
        [f"{source}:{document.place.line}: the top level must be a mapping of sections, such as 'redis:'"]
    )


class _Composer(yaml.SafeLoader):
    """Composes an alias to a node of its own, so that it is reported where it stands and cannot multiply."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.get_event()  # type: ignore[no-untyped-call]  # the stubs leave it out
            return yaml.ScalarNode(_ALIAS, "", event.start_mark, event.end_mark)
        return super().compose_node(parent, index)


@frozen
class _Reader:
    source: str
    environ: Mapping[str, str]
    problems: list[Problem] = field(factory=list)

    def read(self, node: _AnyNode, path: str, *, depth: int, key: Place | None = None) -> Node:
        place = self._place(node)
        if not self._is_untagged(node, place, path):
            return Node(place, path, None, key=key)
        if depth > _DEPTH_MAX:
            self.problems.append(Problem(place, path, f"nested more than {_DEPTH_MAX} deep"))
            return Node(place, path, None, key=key)
        match node:
            case yaml.MappingNode():
                return Node(place, path, self._mapping(node, place, path, depth=depth + 1), key=key)
            case yaml.SequenceNode():
                items = enumerate(node.value)
                inner = tuple(self.read(item, f"{path}[{i}]", depth=depth + 1) for i, item in items)
                return Node(place, path, inner, key=key)
            case _:
                return self._scalar(Node(place, path, node.value, "plain" if node.style is None else "quoted", key))

    def _scalar(self, node: Node) -> Node:
        text = str(node.value)
        if "${" not in text:
            return node
        try:
            text, whole = substitute(text, self.environ)
        except ValueError as error:
            return evolve(node, problem=str(error))
        # Partly replaced text was a string before and stays one; only a whole ${NAME} is read as YAML again.
        return evolve(node, value=text, style=node.style if whole else "joined", is_substituted=True)

    def _mapping(self, node: yaml.MappingNode, place: Place, path: str, *, depth: int) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node, path)
            if key is None:
                continue
            key_place, key_path = self._place(key_node), join(path, key)
            entry = self.read(value_node, key_path, depth=depth, key=key_place)
            first = entries.setdefault(key, entry)
            if first is not entry:
                line = first.key.line if first.key else place.line
                text = f"duplicate key (the first is on line {line}): remove one"
                self.problems.append(Problem(key_place, key_path, text))
        return entries

    def _key(self, node: _AnyNode, path: str) -> str | None:
        place = self._place(node)
        if not isinstance(node, yaml.ScalarNode):
            self.problems.append(Problem(place, path, "a key must be a string, found a list or a mapping"))
            return None
        if not self._is_untagged(node, place, path):
            return None
        text: str = node.value
        value = read_plain(text) if node.style is None else text
        if not isinstance(value, str):
            found = describe(value, text, hidden=False)
            self.problems.append(Problem(place, path, f"a key must be a string, found {found} (quote it)"))
            return None
        if node.style is None and text == "<<":
            self.problems.append(Problem(place, path, "merge keys (<<) are not read: write the keys out"))
            return None
        return text

    def _is_untagged(self, node: _AnyNode, place: Place, path: str) -> bool:
        if node.tag == _ALIAS:
            self.problems.append(Problem(place, path, "aliases (*name) are not read: write the value out"))
            return False
        match node:
            case yaml.MappingNode():
                expected = _MAPPING_TAG
            case yaml.SequenceNode():
                expected = _SEQUENCE_TAG
            case _:
                plain = node.style is None
                implicit = (plain, not plain)
                expected = _RESOLVER.resolve(yaml.ScalarNode, node.value, implicit)  # type: ignore[no-untyped-call]  # the same
        if node.tag == expected:
            return True
        self.problems.append(Problem(place, path, "tags (!name) are not read: to mean a string, quote it"))
        return False

    def _place(self, node: yaml.Node) -> Place:
        return Place(self.source, node.start_mark.line + 1)


_RESOLVER = yaml.resolver.Resolver()


def _syntax_problem(error: yaml.MarkedYAMLError, source: str) -> str:
    mark = error.problem_mark or error.context_mark
    line = f":{mark.line + 1}" if mark else ""
    what = ", ".join(part for part in (error.context, error.problem) if part)
    advice = " (indent with spaces, not with tabs)" if "\\t" in what else ""
    return f"{source}{line}: not valid YAML: {what}{advice}"
