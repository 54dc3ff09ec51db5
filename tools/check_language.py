"""Check that code and documents keep to the terms of CONTRIBUTING.md.

Lists phrases that puzzled readers and names that say nothing, and fails where one is used:

    python tools/check_language.py
"""

from __future__ import annotations

import ast
import re
import sys
import tokenize
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]

PHRASES = {
    r"\bpictures?\b": "image",
    r"\banew\b": "again",
    r"\bby turns\b": "alternately",
    r"\btells? of\b": "shows, or says",
    r"\bwhat is to be said\b": "the message",
    r"\bwhere there (is|are) none\b": "if there is none",
    r"\bis had\b": "is obtained",
    r"\bmend(s|ed|ing)?\b": "repair, or correct",
    r"(?<!there )\b(is|are) no (folder|file|image|number|model|name|grain|map)\b": "is not a ...",
    r"\bmade (fields?|images?|samples?)\b": "synthetic ...",
    r"\bone (row|file|line|value) a\b": "one ... per",
    r"\bwhich see\b": "see",
}
"""Regular expression -> what to write instead."""

VARIABLES = {"said", "told", "found_one", "known_one"}
"""Names of variables and functions that say nothing of what they hold."""

ALLOWED = re.compile(
    r"""["'`]picture["'`]|picture\.done|\|picture|picture[,:=]|kind.*picture|or picture"""
    "|pictures : bool"
)
"""`picture` is a kind of map in files that users have."""


def prose_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines of a document, or of the comments and strings of a module."""
    if path.suffix != ".py":
        yield from enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        return
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type in (tokenize.COMMENT, tokenize.STRING):
                yield from enumerate(token.string.splitlines(), start=token.start[0])


def names_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the names that a module binds."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.lineno, node.name


def faults_of(path: Path) -> Iterator[str]:
    """Yield a line for every phrase or name to replace."""
    place = path.relative_to(ROOT)
    for number, line in prose_of(path):
        for pattern, better in PHRASES.items():
            match = re.search(pattern, ALLOWED.sub("", line), flags=re.IGNORECASE)
            if match:
                yield f"{place}:{number}: '{match.group()}': write '{better}'"
    if path.suffix == ".py":
        for number, name in names_of(path):
            if name in VARIABLES:
                yield f"{place}:{number}: '{name}' says nothing of what it holds"


def main() -> int:
    """Print the faults of all files; return 1 if there are any."""
    paths = [
        path
        for folder in ("src", "docs", "examples", "tools")
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in (".py", ".md", ".html", ".yaml") and path != Path(__file__)
    ]
    paths += [ROOT / "README.md"]
    faults = [fault for path in paths for fault in faults_of(path)]
    sys.stdout.writelines(f"{fault}\n" for fault in faults)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
