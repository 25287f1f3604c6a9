"""Our own export: the same project, the same bytes; into a fresh project and out again, the same bytes."""

import json
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.actions.members import create_user
from accounts.models import Project
from accounts.policies import Principal
from promptforge.lib.errors import DomainError
from prompts import templating
from prompts.actions.channels import add_channel
from prompts.actions.imports import import_batch, import_release
from prompts.actions.prompts import change_prompt
from prompts.actions.releases import promote, rollback
from prompts.actions.versions import create_prompt, save_version
from prompts.demo.loader import load_demo
from prompts.formats.gathering import gather
from prompts.models import Release
from tests.guards.attacks import contents
from tests.personas import Team, make_team
from tests.transfer.conftest import assert_adds_up, bytes_below, ledger, run_export, run_import, versions


def rich_project(team: Team) -> None:
    """A project with everything that an export has to carry."""
    style = team.prompt("house-style", content="Be kind.\r\nBe brief.  ")
    greeting = team.prompt("support/greeting", content="{{> house-style }}\nHello {{customer_name}}", tags=["a", "b"])
    save_version(by=team.ada, prompt=style, content="Be {{mood}}.\n", variables=[{"name": "mood", "default": "kind"}])
    save_version(
        by=team.ada,
        prompt=greeting,
        content="{{> house-style@1 }} {{> house-style }}\n\tHi {{customer_name}} \\{{literal}}\u2028\U0001f600\ufeff",
        config={"z": 1, "a": {"temperature": 0.10, "stop": ["\n", "</s>"]}, "m": 10**17},
        message="Warmer,\nand longer",
    )
    save_version(by=team.ada, prompt=style, content="\ufeffA mark in front")
    create_prompt(
        by=team.ada,
        name="support/greeting/versions",
        description="A chat below a prompt",
        content=[
            {"role": "system", "content": "{{> support/greeting@1 }}\r"},
            {"placeholder": "history"},
            {"role": "user", "content": ""},
            {"role": "user", "content": "{{question}}"},
        ],
    )
    canary = add_channel(by=team.cleo, name="canary", policy={})
    add_channel(by=team.cleo, name="beta-2", policy={})
    promote(by=team.cleo, prompt=greeting, channel=team.stable, version=team.version(greeting, 1), reason="First")
    promote(by=team.cleo, prompt=greeting, channel=team.stable, version=team.version(greeting, 2))
    rollback(by=team.cleo, prompt=greeting, channel=team.stable, reason="Too warm ☀")
    promote(by=team.cleo, prompt=greeting, channel=canary, version=team.version(greeting, 2))
    old = team.prompt("old")
    change_prompt(by=team.ada, prompt=old, archived=True, description="Gone")


def test_exporting_twice_gives_equal_bytes(team: Team, tmp_path: Path) -> None:
    rich_project(team)
    first, again = run_export(tmp_path / "a"), run_export(tmp_path / "a")
    assert first == {"prompts": 4, "versions": 7, "releases": 4, "written": first["written"], "same": 0, "removed": 0}
    assert again == {**first, "written": 0, "same": first["written"]}
    run_export(tmp_path / "b")
    assert bytes_below(tmp_path / "a") == bytes_below(tmp_path / "b")


def test_an_export_is_made_to_be_read(team: Team, tmp_path: Path) -> None:
    rich_project(team)
    run_export(tmp_path)
    found = bytes_below(tmp_path)
    at = "prompts/support/greeting"
    assert found[".gitattributes"] == b"* -text\n"
    assert json.loads(found["promptforge.json"]) == {
        "format": "promptforge-export", "revision": 1, "channels": ["stable", "canary", "beta-2"],
    }  # fmt: skip
    assert found["prompts/house-style/_versions/0001.txt"] == b"Be kind.\r\nBe brief.  "
    second = json.loads(found[f"{at}/_versions/0002.json"])
    assert list(second) == ["message", "created_at", "config", "variables", "includes"]
    assert (second["message"], second["includes"]) == ("Warmer,\nand longer", {"house-style": 2})
    assert list(second["config"]) == ["z", "a", "m"]
    rows = json.loads(found[f"{at}/_channels/stable.json"])
    assert [(row["version"], row["kind"], row["reason"]) for row in rows] == [
        (1, "promote", "First"), (2, "promote", ""), (1, "rollback", "Too warm ☀"),
    ]  # fmt: skip
    assert json.loads(found[f"{at}/versions/_versions/0001.json"])["messages"] == [
        {"role": "system", "file": "0001.1-system.txt"},
        {"placeholder": "history"},
        {"role": "user", "file": "0001.3-user.txt"},
        {"role": "user", "file": "0001.4-user.txt"},
    ]
    assert found[f"{at}/versions/_versions/0001.3-user.txt"] == b""
    everything_said = b"".join(found.values())
    assert b"example" not in everything_said, "an export names nobody"
    assert b"recorded_at" not in everything_said
    assert b"digest" not in everything_said


def test_it_comes_back_byte_for_byte(team: Team, tmp_path: Path) -> None:
    rich_project(team)
    run_export(tmp_path / "a")
    other = make_team("rival", preset="team")
    report = run_import(tmp_path / "a", "rival")
    assert (report["left"], report["notes"], report["exit"]) == ([], [], 0)
    assert report["channels"] == ["canary", "beta-2"]
    assert {taken["name"]: (taken["versions"], taken["releases"]) for taken in report["taken"]} == {
        "house-style": (3, 0), "old": (1, 0), "support/greeting": (2, 4), "support/greeting/versions": (1, 0),
    }  # fmt: skip
    run_export(tmp_path / "b", "rival")
    assert bytes_below(tmp_path / "b") == bytes_below(tmp_path / "a")
    assert [kind for _, kind, _ in ledger("support/greeting", project="rival")] == ["import"] * 3
    assert ledger("support/greeting", project="rival")[2][2] == ledger("support/greeting")[2][2]
    assert [bytes(v.digest) for v in versions("support/greeting", "rival")] == [
        bytes(v.digest) for v in versions("support/greeting")
    ]
    assert {v.author for v in versions("house-style", "rival")} == {other.emil.user}
    assert_adds_up()

    third = make_team("third", preset="solo")
    run_import(tmp_path / "b", third.project.name)
    run_export(tmp_path / "c", "third")
    assert bytes_below(tmp_path / "c") == bytes_below(tmp_path / "a")


def test_a_second_run_changes_nothing(team: Team, tmp_path: Path) -> None:
    rich_project(team)
    run_export(tmp_path / "a")
    make_team("rival", preset="team")
    run_import(tmp_path / "a", "rival")
    before = contents()
    report = run_import(tmp_path / "a", "rival")
    assert (report["taken"], report["channels"], report["left"], report["notes"]) == ([], [], [], [])
    assert report["unchanged"] == ["house-style", "old", "support/greeting", "support/greeting/versions"]
    assert contents() == before
    # The project that it came from has all of it as well, though it takes no history any more.
    assert run_import(tmp_path / "a", "shop")["unchanged"] == report["unchanged"]
    assert contents() == before


def test_what_came_later_is_added(team: Team, tmp_path: Path) -> None:
    rich_project(team)
    run_export(tmp_path / "a")
    make_team("rival", preset="team")
    run_import(tmp_path / "a", "rival")
    greeting = team.version(versions("support/greeting")[0].prompt, 1).prompt
    save_version(by=team.ada, prompt=greeting, content="Third")
    promote(by=team.cleo, prompt=greeting, channel=team.stable, version=team.version(greeting, 3))
    run_export(tmp_path / "a")
    report = run_import(tmp_path / "a", "rival")
    assert report["taken"] == [{"name": "support/greeting", "new": False, "versions": 1, "releases": 1}]
    run_export(tmp_path / "b", "rival")
    assert bytes_below(tmp_path / "b") == bytes_below(tmp_path / "a")


def test_a_dry_run_says_the_same_and_writes_nothing(team: Team, tmp_path: Path) -> None:
    rich_project(team)
    run_export(tmp_path / "a")
    make_team("rival", preset="team")
    before = contents()
    tried = run_import(tmp_path / "a", "rival", "--dry-run")
    assert contents() == before
    done = run_import(tmp_path / "a", "rival")
    assert {**tried, "dry_run": False} == done


def test_a_project_with_releases_of_its_own_takes_no_history(team: Team, tmp_path: Path) -> None:
    rich_project(team)
    run_export(tmp_path / "a")
    other = make_team("rival", preset="solo")
    own = create_prompt(by=other.ada, name="own", content="x")
    promote(by=other.cleo, prompt=own[0], channel=other.stable, version=own[1])
    started = timezone.now()
    report = run_import(tmp_path / "a", "rival", "--as", "ada@rival.example")
    assert (report["history"], report["channels"], report["left"]) == (False, [], [])
    assert report["notes"] == [
        {"where": "support/greeting", "why": f"{channel} was not moved: the project has releases of its own."}
        for channel in ("canary", "stable")
    ]
    assert all(v.created_at > started and v.author == other.ada.user for v in versions("support/greeting", "rival"))
    assert Release.objects.filter(prompt__project=other.project).count() == 1
    before = contents()
    assert run_import(tmp_path / "a", "rival", "--as", "ada@rival.example")["taken"] == []
    assert contents() == before
    assert_adds_up()


def test_another_history_is_not_overwritten(team: Team, tmp_path: Path) -> None:
    rich_project(team)
    run_export(tmp_path / "a")
    other = make_team("rival", preset="solo")
    other.prompt("house-style", content="Quite another text")
    import_release(
        prompt=(mine := other.prompt("old")), channel=other.stable, version=other.version(mine, 1),
        decided_by=other.cleo.user, reason="", at=timezone.now() - timedelta(days=1),
    )  # fmt: skip
    report = run_import(tmp_path / "a", "rival")
    assert report["left"] == [
        {
            "where": "prompts/house-style/_prompt.json",
            "why": "house-style@1 is another text in the project; nothing was overwritten.",
        },
        {
            "where": "prompts/support/greeting/_versions/0001.txt",
            "why": "It includes house-style@1, which is not taken.",
        },
        {
            "where": "prompts/support/greeting/versions/_versions/0001.json",
            "why": "It includes support/greeting@1, which is not taken.",
        },
    ]
    assert (report["taken"], report["unchanged"], report["exit"]) == ([], ["old"], 1)
    assert versions("house-style", "rival")[0].content == "Quite another text"


def spoil(path: Path, change: Any) -> None:
    value = json.loads(path.read_bytes())
    change(value)
    path.write_text(json.dumps(value))


@pytest.mark.parametrize(
    ("inside", "change", "where", "why"),
    [
        ("_versions/0002.txt", None, "_versions/0002.txt", "0002.txt is missing."),
        ("_versions/0001.json", None, "_versions/0001.json", "0001.json is missing."),
        ("_versions/0002.txt", b"a\xff", "_versions/0002.txt", "Byte 1 (0xff) is not valid UTF-8."),
        ("_versions/0002.txt", b"{{a.b}}", "_versions/0002.txt", "Line 1, column 1: a.b is not a name"),
        ("_versions/0002.json", b'{"a":', "_versions/0002.json", "Not valid JSON at 1:6 (line:column)"),
        ("_prompt.json", b"[]", "_prompt.json", "The body is a list; send a JSON object"),
        ("_prompt.json", {"versions": 0}, "_prompt.json", "versions is the number of versions"),
        ("_prompt.json", {"versions": 1}, "_versions/0001.txt", "There are more versions than the 1"),
        ("_prompt.json", {"versions": 3}, "_versions/0003.json", "0003.json is missing."),
        ("_prompt.json", {"name": "a b"}, "_prompt.json", "a b is no prompt name"),
        ("_prompt.json", {"type": "song"}, "_versions/0001.json", "messages is null; a list is expected."),
        ("_prompt.json", {"created_at": "yesterday"}, "_prompt.json", "created_at is yesterday; write an instant"),
        ("_versions/0001.json", {"variables": [{"name": "no"}]}, "_versions/0001.txt", "no is declared but does not"),
        ("_versions/0001.json", {"config": 7}, "_versions/0001.txt", "The config is a number; send a JSON object."),
        ("_channels/stable.json", b"{}", "_channels/stable.json", "The ledger is an object; a list is expected."),
        ("_channels/stable.json", b"[{}]", "_channels/stable.json", "Row 1 of the ledger has no version"),
    ],
)  # fmt: skip
def test_a_spoilt_export(team: Team, tmp_path: Path, inside: str, change: Any, where: str, why: str) -> None:
    greeting = team.prompt(versions=2)
    promote(by=team.cleo, prompt=greeting, channel=team.stable, version=team.version(greeting, 1))
    run_export(tmp_path)
    at = tmp_path / "prompts/support/greeting"
    if change is None:
        (at / inside).unlink()
    elif isinstance(change, bytes):
        (at / inside).write_bytes(change)
    else:
        spoil(at / inside, lambda value: value.update(change))
    make_team("rival", preset="solo")
    before = contents()
    report = run_import(tmp_path, "rival")
    assert [left["where"] for left in report["left"]] == [f"prompts/support/greeting/{where}"]
    assert report["left"][0]["why"].startswith(why)
    assert contents() == before


def test_files_that_do_not_belong_to_an_export_are_told(team: Team, tmp_path: Path) -> None:
    team.prompt()
    run_export(tmp_path)
    (tmp_path / "README.md").write_text("hello")
    (tmp_path / "prompts/support/greeting/_versions/0002.txt").write_text("stray")
    report = run_import(tmp_path)
    assert report["notes"] == [
        {"where": inside, "why": "It is no part of the export and was not read."}
        for inside in ("README.md", "prompts/support/greeting/_versions/0002.txt")
    ]


def test_an_export_writes_into_its_own_folder_only(
    team: Team, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    team.prompt()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    for path, sentence in ((tmp_path / "full", "holds other files"), (tmp_path / "full" / "thesis.txt", "is a file")):
        with pytest.raises(SystemExit):
            call_command("export_prompts", str(path), "--project", "shop")
        assert sentence in capsys.readouterr().err
    assert bytes_below(tmp_path / "full") == {"thesis.txt": b"mine"}
    run_export(tmp_path / "ours")
    shutil.move(tmp_path / "ours/prompts/support", tmp_path / "elsewhere")
    (tmp_path / "ours/prompts/support").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SystemExit):
        call_command("export_prompts", str(tmp_path / "ours"), "--project", "shop")
    assert "is behind a link" in capsys.readouterr().err


def test_what_another_project_left_in_the_folder_is_removed(team: Team, tmp_path: Path) -> None:
    team.prompt("here", versions=2)
    run_export(tmp_path)
    (tmp_path / "prompts" / "notes.md").write_text("mine")
    other = make_team("rival", preset="solo")
    other.prompt("there")
    assert run_export(tmp_path, "rival")["removed"] == 5
    assert sorted(path for path in bytes_below(tmp_path) if path.startswith("prompts/")) == [
        "prompts/notes.md",
        *(f"prompts/there/{inside}" for inside in ("_prompt.json", "_versions/0001.json", "_versions/0001.txt")),
    ]


def test_the_demo_goes_round(committed_db: str, tmp_path: Path) -> None:
    load_demo(create_user(email="admin@example.com"))
    run_export(tmp_path / "a", "demo")
    make_team("rival", preset="team")
    assert run_import(tmp_path / "a", "rival")["exit"] == 0
    run_export(tmp_path / "b", "rival")
    assert bytes_below(tmp_path / "a") == bytes_below(tmp_path / "b")
    assert_adds_up()


# Everything that can be stored: no NUL, no half of a surrogate pair, and something that is not blank.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)
PARTS = st.one_of(
    TEXTS, st.sampled_from(["\r\n", "\n", "\r", " ", "\\{{", "{{a}}", "{{ b_1 }}", "}}", "---\n", "\ufeff"])
)
CONTENTS = st.lists(PARTS, min_size=1, max_size=8).map("".join)
CHATS = st.lists(
    st.one_of(
        st.builds(lambda r, c: {"role": r, "content": c}, st.sampled_from(templating.ROLES), CONTENTS),
        st.just({"placeholder": "history"}),
    ),
    min_size=1,
    max_size=4,
)
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,8}(/[A-Za-z0-9][A-Za-z0-9._-]{0,8}){0,2}", fullmatch=True)
NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(TEXTS, values, max_size=3),
    max_leaves=5,
)
CONFIGS = st.dictionaries(TEXTS, VALUES, max_size=3)
VERSIONS = st.lists(CONTENTS, min_size=1, max_size=3) | st.lists(CHATS, min_size=1, max_size=3)
PROMPTS = st.dictionaries(NAMES, st.tuples(VERSIONS, CONFIGS, TEXTS), min_size=1, max_size=3)


@pytest.mark.parametrize("examples", [12, pytest.param(200, marks=[pytest.mark.full, pytest.mark.timeout(900)])])
def test_whatever_was_saved_goes_round(team: Team, tmp_path: Path, examples: int) -> None:
    """A project for each example: what could be saved is exported, imported, exported, and is the same."""
    rounds = iter(range(10_000))

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(PROMPTS)
    def run(prompts: dict[str, Any]) -> None:
        number = next(rounds)
        made = make_team(f"from{number}", preset="solo")
        for name, (texts, config, message) in prompts.items():
            prompt = None
            for content in texts:
                try:
                    if prompt is None:
                        prompt, _ = create_prompt(
                            by=made.ada, name=name, content=content, config=config, message=message
                        )
                    else:
                        save_version(by=made.ada, prompt=prompt, content=content)
                except DomainError:
                    continue
        make_team(f"to{number}", preset="solo")
        a, b = tmp_path / f"a{number}", tmp_path / f"b{number}"
        run_export(a, made.project.name)
        target = Project.objects.get(name=f"to{number}")
        report = import_batch(by=Principal(make_team_emil(number), target), batch=gather(a))
        assert report.left == []
        run_export(b, target.name)
        assert bytes_below(a) == bytes_below(b)

    run()
    assert_adds_up()


def make_team_emil(number: int) -> Any:
    return create_user(email=f"emil@to{number}.example")
