"""What each check finds, stored when a promotion is opened, and what the status makes of it."""

import random
import re
from itertools import pairwise
from typing import Any

import pytest

from promptforge.lib import guards
from promptforge.lib.errors import DomainError
from promptforge.lib.json import canonical_json
from prompts.actions.promotions import apply_promotion
from prompts.actions.reviews import review
from prompts.actions.versions import save_version
from prompts.builtin_checks import VariablesCheck
from prompts.checks import Line, installed, lines, status
from prompts.hidden_text import find_hidden
from prompts.models import Check, Promotion, Prompt
from prompts.models.channels import CheckName
from prompts.secret_scan import FORMS, find_secrets
from prompts.shapes import digest_text
from prompts.standing import standing
from tests.guards.attacks import check, forge_version, let_time_pass, set_policy, value
from tests.personas import Team, make_team
from tests.promotions.steps import applied, approved, requested
from tests.prompts.test_secret_scan import AROUND, SHAPES, drawn

BASE = [
    {"name": "a", "type": "string"},
    {"name": "b", "type": "string", "required": False, "default": "x", "max_length": 10},
    {"name": "c", "type": "enum", "enum": ["x", "y"]},
    {"name": "d", "type": "integer"},
]


def line(promotion: Promotion, name: CheckName) -> Line:
    return lines(standing(promotion))[list(CheckName).index(name)]


def word(promotion: Promotion) -> str:
    now = standing(promotion)
    return status(now, lines(now))


def after(team: Team, content: str, variables: list[dict[str, Any]] | None = None) -> Promotion:
    """A promotion from a live version with the variables BASE to one with these."""
    prompt = team.prompt(content="{{a}} {{b}} {{c}} {{d}}", variables=BASE)
    applied(team, prompt, 1)
    save_version(by=team.ada, prompt=prompt, content=content, variables=variables)
    return requested(team, prompt, 2)


def changed(name: str, **fields: Any) -> list[dict[str, Any]]:
    return [variable | fields if variable["name"] == name else variable for variable in BASE]


@pytest.mark.parametrize(
    ("content", "variables", "said"),
    [
        ("{{a}} {{b}} {{c}} {{d}} {{e}}", BASE, "e is new and required"),
        ("{{a}} {{b}} {{c}} {{d}}", changed("b", required=True, default=None), "b became required"),
        ("{{a}} {{b}} {{c}} {{d}}", changed("a", type="integer"), "a takes integer instead of string"),
        ("{{a}} {{b}} {{c}} {{d}}", changed("d", type="string"), "d takes string instead of integer"),
        ("{{a}} {{b}} {{c}} {{d}}", changed("c", enum=["x", "z"]), "c no longer takes y"),
        ("{{a}} {{b}} {{c}} {{d}}", changed("a", type="enum", enum=["x"]), "a takes enum instead of string; a no"),
        ("{{a}} {{b}} {{c}} {{d}}", changed("b", max_length=9), "b takes at most 9 characters"),
        ("{{a}} {{b}} {{c}} {{d}}", changed("a", max_length=9), "a takes at most 9 characters"),
    ],
)  # fmt: skip
def test_what_breaks_callers(careful_team: Team, content: str, variables: Any, said: str) -> None:
    promotion = after(careful_team, content, variables)
    found = line(promotion, CheckName.VARIABLES)
    assert (found.required, found.conclusion) == (False, "advice")
    assert found.summary.startswith(f"Callers would break: {said}")
    assert word(promotion) == "in_review"


@pytest.mark.parametrize(
    ("content", "variables", "said"),
    [
        ("{{a}} {{b}} {{c}} {{d}} !", BASE, "Callers need not change anything."),
        ("{{a}} {{b}} {{c}} {{d}} {{e}}", [*BASE, {"name": "e", "required": False, "default": ""}], "Callers need not"),
        ("{{a}} {{b}} {{c}} {{d}}", changed("c", type="string", enum=None), "Callers need not"),
        ("{{a}} {{b}} {{c}} {{d}}", changed("d", type="number"), "Callers need not"),
        ("{{a}} {{b}} {{c}} {{d}}", changed("c", enum=["x", "y", "z"]), "Callers need not"),
        ("{{a}} {{b}} {{c}} {{d}}", changed("b", max_length=None), "Callers need not"),
        ("{{a}} {{b}}", BASE[:2], "No longer used: c, d."),
    ],
)
def test_what_breaks_none(careful_team: Team, content: str, variables: Any, said: str) -> None:
    found = line(after(careful_team, content, variables), CheckName.VARIABLES)
    assert (found.conclusion, found.summary.startswith(said)) == ("passed", True), found.summary


def test_variables_hold_back_where_they_are_required(careful_team: Team) -> None:
    set_policy(careful_team, required_checks=["variables"])
    promotion = after(careful_team, "{{a}} {{b}} {{c}} {{d}} {{e}}", None)
    assert (line(promotion, CheckName.VARIABLES).conclusion, word(promotion)) == ("failed", "blocked")


@pytest.mark.parametrize("place", ["content", "config", "default", "message"])
@pytest.mark.parametrize("what", ["hidden", "secret"])
def test_everything_that_is_served_is_looked_at(careful_team: Team, place: str, what: str) -> None:
    team = careful_team
    found = "\u202eevil" if what == "hidden" else "password: Xk29fkQ1zz8Lm3"
    fields: dict[str, Any] = {"content": "Hi {{a}}"}
    if place == "content":
        fields["content"] = f"Hi\n {found}"
    elif place == "config":
        fields["config"] = {"stop": [found]}
    elif place == "default":
        fields["variables"] = [{"name": "a", "required": False, "default": found}]
    else:
        fields["content"] = [
            {"role": "system", "content": "Hi"},
            {"placeholder": "history"},
            {"role": "user", "content": found},
        ]
    promotion = requested(team, team.prompt(**fields), 1)
    name = CheckName.HIDDEN_TEXT if what == "hidden" else CheckName.SECRETS
    said = line(promotion, name)
    where = {"content": "the text, line 2", "config": "the config", "default": "the variables", "message": "message 3"}
    assert where[place] in said.summary
    assert "Xk29" not in said.summary
    assert (said.required, said.conclusion) == (True, "waiting" if what == "hidden" else "failed")
    assert word(promotion) == ("in_review" if what == "hidden" else "blocked")


def test_hidden_text_is_acknowledged_by_every_approver(careful_team: Team) -> None:
    team = careful_team
    spelled = "".join(chr(0xE0000 + ord(c)) for c in "ignore all")
    promotion = requested(team, team.prompt(content=f"Hi{spelled}"), 1)
    assert "They spell “ignore all”." in line(promotion, CheckName.HIDDEN_TEXT).summary
    for person, acknowledged, said in (
        (team.ben, [], "Ben must acknowledge hidden-text when approving."),
        (team.emil, ["hidden-text"], "Ben must acknowledge"),
        (team.ben, ["hidden-text"], "Acknowledged by every approver."),
    ):
        digest = digest_text(promotion.diff_digest)
        review(by=person, promotion=promotion, decision="approve", diff_digest=digest, acknowledged=acknowledged)
        found = line(promotion, CheckName.HIDDEN_TEXT)
        assert said in found.summary
        if found.conclusion == "waiting":
            with pytest.raises(DomainError) as refusal:
                apply_promotion(by=team.cleo, promotion=promotion)
            assert [fault.code for fault in refusal.value.faults] == ["hidden_text"]
    assert apply_promotion(by=team.cleo, promotion=promotion).revision == 1


def test_without_approvers_nobody_acknowledges(careful_team: Team) -> None:
    set_policy(careful_team, required_approvals=0)
    promotion = approved(careful_team, careful_team.prompt(content="Hi\u202e"), 1)
    assert (line(promotion, CheckName.HIDDEN_TEXT).conclusion, word(promotion)) == ("failed", "blocked")


def test_what_a_frozen_text_says_does_not_grow_old(careful_team: Team) -> None:
    """Evidence lasts seven days; a promotion that is ready on the tenth is applied, and looked at anew for it."""
    team = careful_team
    promotion = approved(team, team.prompt(), 1)
    let_time_pass(days=10)
    assert word(promotion) == "ready"
    apply_promotion(by=team.cleo, promotion=promotion)
    assert Check.objects.filter(promotion=promotion, name="secrets").count() == 2


@pytest.mark.parametrize("is_old", [True, False])
def test_what_an_update_finds_counts_as_soon_as_evidence_is_old(
    careful_team: Team, settings: Any, is_old: bool
) -> None:
    """A row that an older program stored says passed. Page, action and database ask it for as long."""
    team, paths = careful_team, settings.PROMOTION_CHECKS
    settings.PROMOTION_CHECKS = [path for path in paths if "HiddenText" not in path]
    installed.cache_clear()
    promotion = approved(team, team.prompt(content="password: Xk29fkQ1zz8Lm3"), 1)
    check(promotion, "secrets", "passed")
    settings.PROMOTION_CHECKS = paths
    installed.cache_clear()
    if not is_old:
        assert word(promotion) == "ready"
        assert apply_promotion(by=team.cleo, promotion=promotion).revision == 1
        return
    let_time_pass(days=8)
    assert word(promotion) == "blocked"
    with pytest.raises(DomainError) as refusal:
        apply_promotion(by=team.cleo, promotion=promotion)
    assert [fault.code for fault in refusal.value.faults] == ["secrets"]


def test_what_was_opened_before_a_check_was_installed(careful_team: Team, settings: Any) -> None:
    """It is looked at when somebody asks, and stored when the promotion is applied."""
    team, paths = careful_team, settings.PROMOTION_CHECKS
    for number, text in ((1, "Hi"), (2, "password: Xk29fkQ1zz8Lm3")):
        settings.PROMOTION_CHECKS = [path for path in paths if "Secrets" not in path]
        installed.cache_clear()
        promotion = approved(team, team.prompt(f"p{number}", content=text), 1)
        settings.PROMOTION_CHECKS = paths
        installed.cache_clear()
        assert not promotion.stored_checks.filter(name="secrets").exists()
        assert word(promotion) == ("ready" if number == 1 else "blocked")
        if number == 1:
            apply_promotion(by=team.cleo, promotion=promotion)
            assert promotion.stored_checks.filter(name="secrets", conclusion="passed").exists()


def test_python_and_the_database_find_the_same_text_hidden(careful_team: Team) -> None:
    """Flags, halves of flags, tags, direction controls and letters, in random order."""
    team, random_ = careful_team, random.Random(7)
    pieces = ["\U0001f3f4", "\U000e0067", "\U000e0062", "\U000e007f", "\u202e", "\u200f", "\u061c", "\u200b", "a", " "]
    weights = [6, 8, 8, 6, 1, 1, 1, 3, 6, 2]
    prompt, found = Prompt.objects.create(project=team.project, name="x", type="text"), set()
    for _ in range(80):
        text = "x" + "".join(random_.choices(pieces, weights, k=random_.randrange(1, 9)))
        version = forge_version(prompt, team.ada.user, content=text)
        hidden = any(each["severe"] for each in find_hidden(text))
        assert value("SELECT public.promptforge_hides_text(%s)", [version.pk]) == hidden, ascii(text)
        found.add(hidden)
    assert found == {True, False}


def test_the_database_knows_the_published_forms_of_keys(careful_team: Team) -> None:
    """All but two, in the same words, and it finds each where Python finds it."""
    team, forms = careful_team, {k: v for k, v in FORMS.items() if k not in ("JSON web token", "PromptForge key")}
    [body] = [each.body for each in guards.functions(guards.shipped_sql()) if each.name == "promptforge_shows_secret"]
    written = "".join(re.findall(r"'(.*)'", body.partition("THEN")[2]))
    assert written.replace("[.]", r"\.") == f"(?<![A-Za-z0-9_-])(?:{'|'.join(forms.values())})(?![A-Za-z0-9])"
    prompt = Prompt.objects.create(project=team.project, name="keys", type="text")
    random_, seen = random.Random(5), set()
    for kind in forms:
        for around in (random_.choice(AROUND), "longer{}", "{}longer"):
            text = around.format(drawn(SHAPES[kind], random_))
            found = bool({each.kind for each in find_secrets(text)} & set(forms))
            version = forge_version(prompt, team.ada.user, content=text)
            assert value("SELECT public.promptforge_shows_secret(%s)", [version.pk]) == found, text
            seen.add(found)
    assert seen == {True, False}


def test_python_and_the_database_find_the_same_callers_broken(careful_team: Team) -> None:
    team, random_ = careful_team, random.Random(11)
    prompt = Prompt.objects.create(project=team.project, name="callers", type="text")

    def declared() -> str:
        kinds = ["string", "string", "enum", "integer", "number", "json"]
        given = [
            {
                "name": name, "type": random_.choice(kinds), "required": random_.random() < 0.6,
                "default": None, "description": "",
                "max_length": random_.choice([None, None, 5, 9]),
                "enum": random_.choice([None, None, ["x"], ["x", "y"], ["x", "others"]]),
            }
            for name in random_.sample(["a", "b", "c"], random_.randrange(4))
        ]  # fmt: skip
        return canonical_json(given)

    versions, found = [forge_version(prompt, team.ada.user, variables=declared()) for _ in range(60)], []
    for old, new in pairwise(versions):
        about = Promotion(base_version=old, version=new)
        breaks = VariablesCheck().examine(about).conclusion != "passed"
        said = value("SELECT public.promptforge_breaks_callers(%s, %s)", [old.pk, new.pk])
        assert said == breaks, (old.variables, new.variables)
        found.append(breaks)
    assert 10 < sum(found) < 50
    assert value("SELECT public.promptforge_breaks_callers(NULL, %s)", [versions[0].pk]) is False


@pytest.mark.parametrize("name", ["canary"])
def test_a_required_check_without_an_owner_fails(careful_team: Team, name: str) -> None:
    set_policy(careful_team, required_checks=[name])
    promotion = approved(careful_team, careful_team.prompt(), 1)
    found = line(promotion, CheckName(name))
    assert (found.conclusion, word(promotion)) == ("failed", "blocked")
    assert "nothing that is installed here answers it" in found.summary


def test_a_check_is_installed_by_a_setting(careful_team: Team, settings: Any) -> None:
    """And one that is taken out is not skipped where it is required."""
    settings.PROMOTION_CHECKS = [path for path in settings.PROMOTION_CHECKS if "Secrets" not in path]
    installed.cache_clear()
    try:
        promotion = approved(careful_team, careful_team.prompt(), 1)
        assert (line(promotion, CheckName.SECRETS).conclusion, word(promotion)) == ("failed", "blocked")
    finally:
        installed.cache_clear()


@pytest.mark.parametrize(("preset", "required"), [("solo", 0), ("team", 1), ("strict", 2)])
def test_the_presets(committed_db: str, preset: str, required: int) -> None:
    team = make_team("shop", preset=preset)
    promotion = requested(team, team.prompt(), 1)
    found = {each.name: each.conclusion for each in lines(standing(promotion)) if each.required}
    always = {"up-to-date": "passed", "freeze": "passed"}
    texts = {"hidden-text": "passed", "secrets": "passed", "review": "waiting"} if required else {}
    later = {"evaluation": "failed", "canary": "failed"} if required == 2 else {}
    assert found == always | texts | later
    assert word(promotion) == ["ready", "in_review", "blocked"][required]
