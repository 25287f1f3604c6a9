"""Collects real prompt templates from the wheels of two public packages into templates.jsonl.

Run it as `python tests/realworld/collect.py WHEEL…`; README.md beside it names the wheels. Nothing in a wheel is
imported or run: Python is read as a syntax tree, YAML with every tag of its own left out, text as bytes. The same
wheels give the same file, byte for byte.
"""

import ast
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from zipfile import ZipFile

import yaml

TARGET = Path(__file__).with_name("templates.jsonl")
CONSTANT_NAME = re.compile(r"prompt|template|instruction|guideline|rubric", re.IGNORECASE)
FOLDERS_OF_CONSTANTS = ("evaluate", "metrics", "optimizer", "synthesizer")
# Files beside deepeval's templates that hold a class's name or a list of settings.
NO_TEMPLATES = ("/class.txt", "_questions.txt")
# A task family of lm-eval repeats one sentence in dozens of languages; this many of each kind tell enough.
MOST_PER_FAMILY_AND_KIND = 5


class Template(NamedTuple):
    """One template: where it comes from and its text, unchanged."""

    package: str
    version: str
    path: str
    name: str
    text: str


class PlainLoader(yaml.SafeLoader):
    """Reads YAML as plain values; anything with a tag of its own (`!function`) becomes None."""


PlainLoader.add_multi_constructor("!", lambda loader, suffix, node: None)


def kind_of_tags(text: str) -> str:
    """What the template's tags ask for, from least to most: nothing, plain names, expressions, statements."""
    if "{%" in text:
        return "statements"
    tags = re.findall(r"\{\{(.*?)\}\}", text, re.DOTALL)
    if any(not re.fullmatch(r"\s*[A-Za-z][A-Za-z0-9_]*\s*", tag) for tag in tags):
        return "expressions"
    return "names" if tags else "none"


def from_lm_eval(wheel: ZipFile) -> Iterator[tuple[str, str, str]]:
    """Yields (path, name, text) of `doc_to_text` in the task files, a few of each kind per family."""
    taken: Counter[tuple[str, str]] = Counter()
    seen: set[str] = set()
    for path in sorted(wheel.namelist()):
        parts = path.split("/")
        if parts[:2] != ["lm_eval", "tasks"] or not path.endswith((".yaml", ".yml")):
            continue
        document = yaml.load(wheel.read(path), PlainLoader)
        text = document.get("doc_to_text") if isinstance(document, dict) else None
        if not isinstance(text, str) or not text.strip() or text in seen:
            continue
        family_and_kind = (parts[2], kind_of_tags(text))
        if taken[family_and_kind] < MOST_PER_FAMILY_AND_KIND:
            taken[family_and_kind] += 1
            seen.add(text)
            yield path, "doc_to_text", text


def from_deepeval(wheel: ZipFile) -> Iterator[tuple[str, str, str]]:
    """Yields (path, name, text) of the template files and of the string constants that are named like prompts."""
    for path in sorted(wheel.namelist()):
        # The benchmark folder quotes other people's work under other licences.
        if not path.startswith("deepeval/") or path.startswith("deepeval/benchmarks/"):
            continue
        if "/templates/" in path and path.endswith(".txt") and not path.endswith(NO_TEMPLATES):
            yield path, Path(path).stem, wheel.read(path).decode("utf-8")
        elif path.endswith(".py") and path.split("/")[1] in FOLDERS_OF_CONSTANTS:
            yield from ((path, name, text) for name, text in constants(wheel.read(path)))


def constants(source: bytes) -> Iterator[tuple[str, str]]:
    """Yields (name:line, text) of plain strings of some length assigned to names that speak of prompts.

    Formatted strings are left out: they are code that builds a text, not a template that somebody could store.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target = node.targets[0]
        elif isinstance(node, ast.AnnAssign):
            target = node.target
        else:
            continue
        value = node.value
        if (
            isinstance(target, ast.Name)
            and CONSTANT_NAME.search(target.id)
            and isinstance(value, ast.Constant)
            and isinstance(value.value, str)
            and len(value.value.split()) >= 8
        ):
            yield f"{target.id}:{node.lineno}", value.value


READERS: dict[str, Callable[[ZipFile], Iterator[tuple[str, str, str]]]] = {
    "deepeval": from_deepeval,
    "lm_eval": from_lm_eval,
}


def collect(wheel_path: Path) -> Iterator[Template]:
    """Yields the templates of one wheel by path; its file name tells package and version."""
    package, version = wheel_path.name.split("-")[:2]
    with ZipFile(wheel_path) as wheel:
        for path, name, text in READERS[package](wheel):
            yield Template(package.replace("_", "-"), version, path, name, text)


def main(wheel_paths: list[str]) -> None:
    """Writes every distinct text once, its first finder named, one JSON object per line in ASCII."""
    distinct: dict[str, Template] = {}
    for wheel_path in sorted(map(Path, wheel_paths), key=lambda path: path.name):
        for template in collect(wheel_path):
            if template.text.strip():
                distinct.setdefault(template.text, template)
    lines = [json.dumps(template._asdict()) + "\n" for template in distinct.values()]
    TARGET.write_text("".join(lines), encoding="ascii", newline="\n")
    print(f"{len(lines)} templates, {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
