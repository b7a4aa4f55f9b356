"""The documentation's chapters do what they say: their commands are run, one after another."""

import pathlib

import pytest

from support.process import DEMO
from support.walkthrough import missing, steps, walk_through

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"

CHAPTERS = sorted(path.name for path in DOCS.glob("*.md") if "```console" in path.read_text(encoding="utf-8"))


def test_the_operators_chapters_are_walked_through():
    assert {"configure.md", "upgrade.md", "observability.md"} <= set(CHAPTERS)


@pytest.mark.parametrize("name", CHAPTERS)
def test_chapter(name, tmp_path):
    assert walk_through((DOCS / name).read_text(encoding="utf-8"), tmp_path, DEMO) > 0


def test_a_command_that_fails_is_noticed(tmp_path):
    with pytest.raises(AssertionError, match="ended with 1"):
        walk_through("```console\n$ true\n$ false\n```\n", tmp_path, DEMO)


def test_a_line_that_is_not_printed_is_noticed(tmp_path):
    with pytest.raises(AssertionError, match="lacks 'c'"):
        walk_through("```yaml title=a\nb\n```\n```console\n$ cat a\nb\nc\n```\n", tmp_path, DEMO)


def test_lines_come_in_order_and_dots_stand_for_anything():
    assert steps("$ a \\\n  b\nx…z\n\n$ c\n") == [("a \\\n  b", ["x…z"]), ("c", [])]
    assert missing(["x…z", "b"], "a\nx and z\nb") is None
    assert missing(["b", "x…z"], "a\nx and z\nb") == "x…z"
