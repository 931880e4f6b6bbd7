"""The loader of the scripts: includes once each, in order, and every mistake reported with its file."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from fairque.protocol.errors import ProtocolError
from fairque.protocol.wire.scripts import expand, script, script_names

Put = Callable[..., Path]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Writes lua files: main=… is main.lua, other names are includes."""

    def put(main: str, **includes: str) -> Path:
        (tmp_path / "includes").mkdir()
        (tmp_path / "main.lua").write_text(main)
        for name, text in includes.items():
            (tmp_path / "includes" / f"{name}.lua").write_text(text)
        return tmp_path

    return put


def test_a_script_without_includes_is_its_text(put: Put) -> None:
    assert expand("main", put("#!lua\nreturn 1\n")) == "#!lua\nreturn 1\n"


def test_an_include_is_inserted_and_marked_where_it_is_mentioned(put: Put) -> None:
    folder = put('#!lua\n--- @include "a"\nreturn a\n', a="local a = 1\n")
    assert expand("main", folder).splitlines() == [
        "#!lua",
        "-- file: includes/a.lua",
        "local a = 1",
        "-- file: main.lua",
        "return a",
    ]


def test_an_include_that_is_mentioned_twice_is_inserted_once(put: Put) -> None:
    folder = put(
        '--- @include "a"\n--- @include "b"\n--- @include "a"\n', a="local a\n", b='--- @include "a"\nlocal b\n'
    )
    text = expand("main", folder)
    assert text.count("local a") == 1
    assert text.index("local a") < text.index("local b")


def test_an_include_may_include(put: Put) -> None:
    folder = put('--- @include "a"\n', a='--- @include "b"\nlocal a\n', b='--- @include "c"\nlocal b\n', c="local c\n")
    code = [line for line in expand("main", folder).splitlines() if not line.startswith("--")]
    assert code == ["local c", "local b", "local a"]


def test_after_ten_files_the_rest_is_in_a_separate_function(put: Put) -> None:
    names = "abcdefghijklmnopqrstu"
    includes = {name: f"local {name} = 1\n" for name in names}
    main = "".join(f'--- @include "{name}"\n' for name in names) + f"return {' + '.join(names)}\n"
    code = [line for line in expand("main", put(main, **includes)).splitlines() if not line.startswith("--")]
    assert [place for place, line in enumerate(code) if line == "return (function()"] == [8, 19]
    assert code[-3:] == [f"return {' + '.join(names)}", "end)()", "end)()"]


def test_what_nothing_refers_to_is_left_out(put: Put) -> None:
    lines = [
        'local A, B = "used", 1',
        "local UNUSED = {1, 2}",
        "local CALLED = {f()}",
        "local function short() return A end",
        "local function long()",
        "  if A then return short() end",
        "end",
        "local function unused()",
        "  return also_unused()",
        "end",
        "local function also_unused() return long() end -- unused",
        "return long()",
    ]
    assert expand("main", put("\n".join(lines))).splitlines() == [lines[0], *lines[2:7], lines[-1]]


def test_what_a_quick_path_does_not_use_stands_behind_it(put: Put) -> None:
    folder = put(
        '--- @include "quick_main"\nreturn later()\n',
        quick_main='--- @include "a"\nif f() then return 1 end\n',
        a="local A = {1}\nlocal B = {2}\nlocal function f() return A end\nlocal function later() return B end\n",
    )
    assert expand("main", folder).splitlines() == [
        "-- file: includes/a.lua",
        "local A = {1}",
        "local function f() return A end",
        "-- file: includes/quick_main.lua",
        "if f() then return 1 end",
        "-- file: includes/a.lua",
        "local B = {2}",
        "local function later() return B end",
        "-- file: main.lua",
        "return later()",
    ]


def test_a_constant_that_is_a_number_is_replaced_by_it(put: Put) -> None:
    text = 'local MOST = 100 -- tasks\nreturn call("MOST", MOST - 1, other.MOSTLY) -- MOST'
    assert expand("main", put(text)) == 'return call("MOST", 100 - 1, other.MOSTLY) -- MOST\n'


def test_a_cycle_is_reported_with_all_its_files(put: Put) -> None:
    folder = put('--- @include "a"\n', a='--- @include "b"\n', b='--- @include "a"\n')
    with pytest.raises(ProtocolError, match=r"main\.lua -> includes/a\.lua -> includes/b\.lua -> includes/a\.lua"):
        expand("main", folder)


def test_a_missing_script_is_reported(put: Put) -> None:
    with pytest.raises(ProtocolError, match=r"there is no lua/other\.lua$"):
        expand("other", put(""))


def test_a_missing_include_is_reported_with_the_file_that_includes_it(put: Put) -> None:
    folder = put('--- @include "a"\n', a='--- @include "gone"\n')
    with pytest.raises(ProtocolError, match=r"no lua/includes/gone\.lua, which lua/includes/a\.lua includes"):
        expand("main", folder)


@pytest.mark.parametrize(
    "line",
    [
        "--- @include a",
        "--- @include 'a'",
        '--- @include "a" -- why',
        '--- @include "../a"',
        '--- @include "A"',
        "--- @include",
    ],
)
def test_a_malformed_include_is_reported_with_its_line(put: Put, line: str) -> None:
    with pytest.raises(ProtocolError, match=r'lua/main\.lua:3: write it as --- @include "name"'):
        expand("main", put(f"#!lua\n\n{line}\n", a=""))


def test_a_script_of_the_package_is_hashed_as_it_is_sent() -> None:
    push = script("push")
    assert push.name == "push"
    assert push.sha == hashlib.sha1(push.text.encode()).hexdigest()  # noqa: S324 - what EVALSHA uses
    assert push.text.startswith("#!lua")
    assert "@include" not in push.text


def test_the_names_are_the_verbs() -> None:
    assert script_names() == sorted(script_names())
    assert {"push", "pop", "finish"} <= set(script_names())


def test_an_unknown_script_of_the_package_is_reported() -> None:
    with pytest.raises(ProtocolError, match=r"there is no lua/steal\.lua"):
        script("steal")
