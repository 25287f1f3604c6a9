"""Folders of files: one prompt a file, its text byte for byte, with or without front matter."""
# ruff: noqa: E501  a table of bad inputs has one a line

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prompts.actions.releases import promote
from prompts.formats import gathering
from prompts.models import Prompt
from tests.guards.attacks import contents
from tests.personas import Team
from tests.transfer.conftest import Files, assert_adds_up, refused_import, run_export, run_import, versions

type Make = Callable[[Files], Path]


def why(report: dict[str, Any]) -> dict[str, str]:
    return {left["where"]: left["why"] for left in report["left"]}


def test_a_folder_of_files(team: Team, folder: Make) -> None:
    given: Files = {
        "support/greeting.txt": b"\r\nHello {{ name }}  \r\n\r\n",
        "support/closing.md": "Bye.",
        "tone.md": "---\r\ndescription: Our tone\r\ntags: [style, style, core]\r\nmessage: Kinder\r\n---\r\n\r\nBe kind.\n",
        "rule.md": "---\nA rule, and no front matter\n",
        "greet.prompt": (
            "---\nmodel: gpt-5\nconfig:\n  temperature: 0.2\ninput:\n  schema:\n    city: string, Where it is\n"
            "    days?: integer\n  default:\n    days: 3\n---\nWeather in {{city}} for {{days}} days"
        ),
        "object.json": json.dumps(
            {
                "content": "Say {{x}}", "config": {"b": 1, "a": 2}, "variables": [{"name": "x", "type": "json"}],
                "message": "From JSON", "tags": ["t"], "description": "d",
            }
        ),
        "chat.json": json.dumps([{"role": "system", "content": "Be kind"}, {"placeholder": "history"}]),
    }  # fmt: skip
    report = run_import(folder(given))
    assert (report["left"], report["notes"], report["exit"], report["history"]) == ([], [], 0, True)
    assert [taken["name"] for taken in report["taken"]] == [
        "chat", "greet", "object", "rule", "support/closing", "support/greeting", "tone",
    ]  # fmt: skip
    assert versions("support/greeting")[0].source == "\r\nHello {{ name }}  \r\n\r\n"
    assert versions("rule")[0].source == "---\nA rule, and no front matter\n"
    [tone] = versions("tone")
    assert (tone.source, tone.message, tone.prompt.description) == ("\r\nBe kind.\n", "Kinder", "Our tone")
    assert tone.prompt.tags == ["style", "core"]
    assert tone.author == team.emil.user, "an admin, when nobody is named"
    [greet] = versions("greet")
    assert greet.config == '{"model":"gpt-5","temperature":0.2}'
    assert [(v["name"], v["type"], v["required"], v["default"], v["description"]) for v in greet.variable_list] == [
        ("city", "string", True, None, "Where it is"), ("days", "integer", False, 3, ""),
    ]  # fmt: skip
    [made] = versions("object")
    assert (made.config, made.message, made.variable_list[0]["type"]) == ('{"b":1,"a":2}', "From JSON", "json")
    assert versions("chat")[0].typed_source == [{"role": "system", "content": "Be kind"}, {"placeholder": "history"}]
    assert_adds_up()
    before = contents()
    again = run_import(folder({}))
    assert (again["taken"], again["unchanged"]) == ([], [taken["name"] for taken in report["taken"]])
    assert contents() == before


def test_one_file(team: Team, folder: Make) -> None:
    root = folder({"greeting.txt": "Hello"})
    assert run_import(root / "greeting.txt")["taken"] == [
        {"name": "greeting", "new": True, "versions": 1, "releases": 0}
    ]


def test_a_changed_file_is_the_next_version_and_an_old_one_takes_nothing_back(team: Team, folder: Make) -> None:
    run_import(folder({"a.txt": "One"}))
    assert run_import(folder({"a.txt": "Two"}))["taken"] == [{"name": "a", "new": False, "versions": 1, "releases": 0}]
    assert run_import(folder({"a.txt": "One"}))["unchanged"] == ["a"]
    assert [version.content for version in versions("a")] == ["One", "Two"]


def test_files_include_each_other_in_any_order(team: Team, folder: Make) -> None:
    report = run_import(folder({"a.txt": "{{> b }}!", "b.txt": "{{> c@1 }}?", "c.txt": "See"}))
    assert report["left"] == []
    assert versions("a")[0].content == "See?!"
    assert run_import(folder({}))["unchanged"] == ["a", "b", "c"]
    report = run_import(folder({"c.txt": "Sea"}))
    assert [taken["name"] for taken in report["taken"]] == ["c"], "b names version 1"
    report = run_import(folder({"b.txt": "{{> c }}?"}))
    assert [taken["name"] for taken in report["taken"]] == ["a", "b"]
    assert versions("a")[-1].content == "Sea?!"


def test_includes_that_cannot_be(team: Team, folder: Make) -> None:
    report = run_import(
        folder({"a.txt": "{{> b }}", "b.txt": "{{> a }}", "c.txt": "{{> none }}", "d.txt": "{{> c }}", "e.txt": "fine"})
    )
    assert why(report) == {
        "a.txt": "Its includes lead back to itself.",
        "b.txt": "Its includes lead back to itself.",
        "c.txt": "Line 1, column 1: none was not found; check its name and number.",
        "d.txt": "Line 1, column 1: c was not found; check its name and number.",
    }
    assert [taken["name"] for taken in report["taken"]] == ["e"]
    assert report["exit"] == 1


BAD: list[tuple[str, bytes, str]] = [
    ("a.txt", b"", "It is empty."),
    ("a.txt", b" \n", "The prompt is blank; write at least one visible character."),
    ("a.txt", b"abc\xe9", "Byte 3 (0xe9) is not valid UTF-8."),
    ("a.txt", "Hi".encode("utf-16"), "It is UTF-16; text in UTF-8 is expected."),
    ("a.txt", "Hi".encode("utf-16-le"), "Byte 1 is NUL; the file is no text, or UTF-16. Save it as UTF-8."),
    ("a.txt", b"\xef\xbb\xbfHi", "It starts with a byte order mark (EF BB BF); save it without."),
    ("a.txt", b"Hi\0", "Byte 2 is NUL; the file is no text, or UTF-16. Save it as UTF-8."),
    ("a.json", b"PK\x03\x04xl/", "It is a ZIP archive (such as .xlsx or .docx); text in UTF-8 is expected."),
    ("a.md", b"%PDF-1.7", "It is a PDF; text in UTF-8 is expected."),
    ("a.txt", b"x" * (1024 * 1024 + 1), "It has more than 1,048,576 bytes; that is more than is read."),
    ("a.txt", b"x" * (256 * 1024 + 1), "The content, includes expanded, may have 262,144 bytes; it has 262,145 bytes."),
    ("a.xlsx", b"PK\x03\x04", "Its ending is none of .md, .txt, .prompt, .json, .jsonl, .ndjson."),
    ("a", b"text", "Its ending is none of .md, .txt, .prompt, .json, .jsonl, .ndjson."),
    ("a b.txt", b"text", "a b is no prompt name: letters, digits and . _ - in parts joined by /, "),
    ("a.json", b'{"content": "x",\n}', "Not valid JSON at 1:16 (line:column): "),
    ("a.json", b'{"content": "x", "content": "y"}', "The key content stands twice in one object. It stands at /content."),
    ("a.json", b'{"content": "\\u0000"}', "This string holds the NUL character (U+0000); remove it."),
    ("a.json", b"[" * 70, "Line 1:65 opens level 65; at most 64 lists and objects may be nested."),
    ("a.json", b'{"a": 1}', "Its JSON is no version, no chat, and no export of Langfuse or OpenAI."),
    ("a.json", b'"text"', "Its JSON is no version, no chat, and no export of Langfuse or OpenAI."),
    ("a.json", b"[]", "The chat has no message; write at least one."),
    ("a.json", b'[{"role": "root", "content": ""}]', "Message 1: root is not a role; roles are system"),
    ("a.json", b'{"content": 5}', "The content of a text prompt is a number; a string is expected."),
    ("a.json", b'{"content": "x", "type": "song"}', "type is song; types are text and chat."),
    ("a.json", b'{"content": "x", "tags": "t"}', "tags is a string; a list of strings is expected."),
    ("a.json", b'{"content": "x", "tags": ["' + b"t" * 51 + b'"]}', "The tag "),
    ("a.json", b'{"content": "x", "config": []}', "config is no mapping; write its fields below it."),
    ("a.json", b'{"content": "x", "variables": {}}', "The variables are an object; send a list of declarations."),
    ("a.json", b'{"content": "x", "variables": 7}', "The variables are a number; send a list of declarations."),
    ("a.json", b'{"content": "x", "message": 7}', "message is a number; a string is expected."),
    ("a.md", b"---\n- a\n---\nx", "The front matter is no mapping; write lines such as 'description: …'."),
    ("a.md", b"---\na: [\n---\nx", "The front matter is no YAML that can be taken at line 3:1: "),
    ("a.md", b"---\nconfig: {a: &x 1, b: *x}\n---\nx", "The front matter is no YAML that can be taken at line 2:22: an alias"),
    ("a.md", b"---\ntags: []\ntags: []\n---\nx", "The front matter is no YAML that can be taken at line 3:1: the key tags"),
    ("a.md", b"---\nconfig: {day: 2026-02-03}\n---\nx", "day is a date; put it in quotes."),
    ("a.md", b"---\nconfig: {day: 2026-02-30}\n---\nx", "The front matter is no YAML that can be taken: day is out of range"),
    ("a.md", b"---\nconfig: {1: 2}\n---\nx", "A key of config is a int; put it in quotes."),
    ("a.md", b"---\nconfig: {a: .nan}\n---\nx", "a is not a finite number; put it in quotes."),
    ("a.md", b"---\n? [a]\n: b\n---\nx", "The front matter is no YAML that can be taken"),
    ("a.md", b'---\nmessage: "\\0"\n---\nx', "message holds the NUL character (U+0000)."),
    ("a.md", b'---\nmessage: "\\ud800"\n---\nx', "message holds half of a surrogate pair, which is no character."),
    ("a.md", b"---\nconfig: " + b"[" * 5000 + b"\n---\nx", "The front matter is no YAML that can be taken"),
    ("a.md", b"---\nconfig: !!python/object/apply:os.system [id]\n---\nx", "The front matter is no YAML that can be taken"),
    ("a.md", b"---\na: " + b"x" * 70_000 + b"\n---\nx", "The front matter has 70,004 characters; at most 65,536 are read."),
    ("a.prompt", b"---\nmodel: x\nHello", "Line 1: the front matter is not closed; end it with a line of three hyphens."),
    ("a.prompt", b"---\ninput: 5\n---\nx", "input holds a mapping schema and a mapping default; it is something else."),
    ("a.txt", b"Hi\n {{a.b}}", "Line 2, column 2: a.b is not a name"),
    ("a.txt", b"{{#if x}}y{{/if}}", "Line 1, column 1: #if x is not a name"),
    ("a.txt", b"{{_user}}", "Line 1, column 1: _user begins with _"),
    ("a.txt", b"{{ open", "Line 1, column 1: {{ opens a tag that }} does not close on this line"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "sentence"), BAD, ids=[f"{n}-{s[:50]}" for n, _, s in BAD])
def test_what_is_not_taken(team: Team, folder: Make, name: str, content: bytes, sentence: str) -> None:
    """One sentence each, and nothing written of it; what stands beside it is taken."""
    before = contents()
    alone = run_import(folder({name: content}))
    assert [left["where"] for left in alone["left"]] == [name]
    assert alone["left"][0]["why"].startswith(sentence)
    assert alone["exit"] == 1
    assert contents() == before
    beside = run_import(folder({"fine.txt": "Fine"}))
    assert [taken["name"] for taken in beside["taken"]] == ["fine"]
    assert beside["left"] == alone["left"]
    assert set(Prompt.objects.values_list("name", flat=True)) == {"fine"}


def test_the_text_below_front_matter_tells_where_it_begins(team: Team, folder: Make) -> None:
    report = run_import(folder({"a.md": "---\nmessage: x\n---\n\n{{a.b}}"}))
    assert [left["where"] for left in report["left"]] == ["a.md (its text begins on line 4)"]
    assert report["left"][0]["why"].startswith("Line 2, column 1: a.b is not a name")
    assert report["left"][0]["why"].endswith("--escape keeps it as characters.")


def test_escape_keeps_what_is_no_variable_and_says_so(team: Team, folder: Make) -> None:
    files: Files = {
        "jinja.txt": "{% if x %}{{ a.b }}{% endif %} {{name}} {{ x|upper }} {{{z}}} {{ open\n{{> no such }} \\{{ok}}",
        "chat.json": json.dumps([{"role": "user", "content": "{{a[0]}} {{b}}"}]),
        "f.txt": "Hello {name}, ${cost}",
    }
    report = run_import(folder(files), "shop", "--escape")
    assert report["left"] == []
    assert versions("jinja")[0].source == (
        "{% if x %}\\{{ a.b }}{% endif %} {{name}} \\{{ x|upper }} \\{{{z}}} \\{{ open\n\\{{> no such }} \\{{ok}}"
    )
    assert versions("chat")[0].typed_source == [{"role": "user", "content": "\\{{a[0]}} {{b}}"}]
    assert [declared["name"] for declared in versions("jinja")[0].variable_list] == ["name"]
    assert report["notes"] == [
        {"where": "chat.json", "why": "1 of its {{ opened no tag of ours and became \\{{ (--escape)."},
        {"where": "f.txt", "why": "It holds {name} in single braces, ${name}, which is literal text here."},
        {"where": "jinja.txt", "why": "5 of its {{ opened no tag of ours and became \\{{ (--escape)."},
        {"where": "jinja.txt", "why": "It holds {% … %}, which is literal text here."},
    ]
    assert run_import(folder({}), "shop", "--escape")["unchanged"] == ["chat", "f", "jinja"]


def test_fields_that_mean_nothing_here_are_told(team: Team, folder: Make) -> None:
    front = "---\ninput:\n  schema:\n    p(array): string\n    q: nothing\n---\nHi"
    report = run_import(folder({"a.md": "---\ntitle: x\n---\nHello", "b.prompt": front}))
    fields = "message, description, tags, config, variables"
    assert report["notes"] == [
        {"where": "a.md", "why": f"The field title was not taken; fields are {fields}."},
        {"where": "b.prompt", "why": "input.schema.p(array) is no plain type and was not taken."},
        {"where": "b.prompt", "why": "input.schema.q is no plain type and was not taken."},
    ]


def test_names_that_differ_by_case_alone(team: Team, folder: Make) -> None:
    report = run_import(folder({"Greeting.txt": "a", "greeting.md": "b", "Tone.txt": "c"}))
    assert why(report) == {"Greeting.txt, greeting.md": "2 items are named Greeting, letter case apart."}
    report = run_import(folder({"Greeting.txt": "a", "tone.json": '{"content": "d"}'}).joinpath("tone.json"))
    assert why(report) == {"tone.json": "The project has Tone, which differs from tone by letter case alone."}


def test_links_and_hidden_files(team: Team, folder: Make, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "outside").mkdir()
    root = folder({"a.txt": "a", ".env": "KEY=1", ".git/config.txt": "x", "in/b.txt": "b"})
    (root / "leak.txt").symlink_to(tmp_path / "secret.txt")
    (root / "dir").symlink_to(tmp_path / "outside")
    (root / "same.txt").symlink_to(root / "a.txt")
    (root / "gone.txt").symlink_to(root / "nothing.txt")
    os.mkfifo(root / "pipe.txt")
    report = run_import(root)
    assert why(report) == {
        "leak.txt": "It is a link that leads out of the folder; it was not followed.",
        "dir": "It is a link to a folder; links to folders are not followed.",
        "gone.txt": "It is no regular file.",
        "pipe.txt": "It is no regular file.",
    }
    assert [taken["name"] for taken in report["taken"]] == ["a", "in/b", "same"]
    assert {note["where"] for note in report["notes"]} == {".env", ".git"}


def test_a_file_name_that_is_no_text(team: Team, folder: Make) -> None:
    root = folder({"a.txt": "a"})
    Path(os.fsdecode(os.fsencode(root) + b"/b\xff.txt")).write_text("b")
    assert why(run_import(root)) == {"b\\udcff.txt": "Its name holds characters that no prompt's name has."}


def test_refusals_of_the_whole(
    team: Team, folder: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = folder({"a.txt": "a", "b.txt": "b"})
    before = contents()
    monkeypatch.setattr(gathering, "MAX_FILES", 1)
    assert refused_import(root, capsys) == "given holds more than 1 files; import it in parts. (too_large)"
    monkeypatch.undo()
    (tmp_path / "empty").mkdir()
    assert "holds no file" in refused_import(tmp_path / "empty", capsys)
    assert "There is no file or folder" in refused_import(tmp_path / "nowhere", capsys)
    assert "There is no person" in refused_import(root, capsys, "--as", "nobody@shop.example")
    assert "does not let you save versions" in refused_import(root, capsys, "--as", "noor@shop.example")
    assert "does not let you save versions" in refused_import(root, capsys, "--as", "oda@shop.example")
    assert contents() == before


def test_an_export_may_have_more_files_than_a_folder_of_texts(
    team: Team, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot be made in parts."""
    team.prompt("support/greeting", versions=3)
    run_export(tmp_path / "export")
    monkeypatch.setattr(gathering, "MAX_FILES", 3)
    assert run_import(tmp_path / "export")["unchanged"] == ["support/greeting"]
    monkeypatch.setattr(gathering, "MAX_EXPORTED", 3)
    assert "export holds more than 3 files" in refused_import(tmp_path / "export", capsys)


def test_files_make_new_versions_after_the_first_release(team: Team, folder: Make) -> None:
    prompt = team.prompt("a", content="One")
    promote(by=team.cleo, prompt=prompt, channel=team.stable, version=team.version(prompt, 1))
    report = run_import(folder({"a.txt": "Two"}), "shop", "--as", "ada@shop.example")
    assert (report["history"], report["taken"][0]["versions"]) == (False, 1)
    assert versions("a")[1].author == team.ada.user
    assert_adds_up()


@pytest.mark.full
def test_fifty_thousand_and_one_files(team: Team, folder: Make, capsys: pytest.CaptureFixture[str]) -> None:
    root = folder({})
    for number in range(50_001):
        (root / f"{number}.txt").write_bytes(b"x")
    assert "holds more than 50,000 files" in refused_import(root, capsys)
