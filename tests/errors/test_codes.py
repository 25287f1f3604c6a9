"""The table of refusals: the product answers with each of them, and the pages list exactly these."""

import html
import re

from django.test import Client

from promptforge.lib.error_page import markdown
from promptforge.lib.errors import CODES, DomainError
from promptforge.lib.refusals import CODE_OF_CONSTRAINT
from tests.api.conftest import problem_of
from tests.authorization.world import everything
from tests.errors.acts import ACTS, LACKS
from tests.errors.scene import Act, Scene
from tests.personas import Team
from tests.plugin import ROOT

SENTENCE = re.compile(r"\S.{15,}[.:…?]", re.DOTALL)


def told(act: Act, code: str) -> list[str]:
    """The sentences of the refusal that an act meets, which must be the one by this code."""
    try:
        answer = act()
    except DomainError as error:
        answer = error
    assert answer is not None, "nothing refused it"
    if isinstance(answer, DomainError):
        assert answer.code == code, answer
        return [answer.detail]
    body = problem_of(answer, CODES[code].status, "promotion_not_ready" if code in LACKS else code)
    assert code not in LACKS or code in [fault["code"] for fault in body["errors"]], body
    return [body["detail"], *(fault["detail"] for fault in body["errors"])]


def test_each_code_has_its_act() -> None:
    assert list(ACTS) == list(CODES)


def test_the_product_answers_with_each_code(shop: Team, keys: dict[str, str | None]) -> None:
    wrong = []
    scene = Scene(shop, keys)
    for code, arranged in ACTS.items():
        with arranged(scene) as act:
            before = everything()
            try:
                if odd := [text for text in told(act, code) if not SENTENCE.fullmatch(text)]:
                    wrong.append((code, f"no helpful sentence: {odd}"))
            except AssertionError as error:
                wrong.append((code, str(error)[:300]))
            if everything() != before:
                wrong.append((code, "something was written"))
    assert not wrong, "\n" + "\n".join(map(str, wrong))


def test_every_constraint_has_a_code_that_is_known() -> None:
    assert set(CODE_OF_CONSTRAINT.values()) <= set(CODES)


def test_titles_are_short_and_say_something() -> None:
    titles = [code.title for code in CODES.values()]
    assert len(set(titles)) == len(titles)
    for title in titles:
        assert title[0].isupper()
        assert 3 < len(title) <= 60
        assert title[-1] not in ".!"


def test_each_code_says_in_one_sentence_how_to_mend_it() -> None:
    mends = [code.mend for code in CODES.values()]
    assert len(set(mends)) == len(mends)
    for mend in mends:
        assert 20 < len(mend) <= 110, mend
        assert re.fullmatch(r"[A-Z`].*\.", mend), mend
        assert mend.count("`") % 2 == 0, mend
        assert "|" not in mend, mend


def test_the_page_in_docs_is_up_to_date() -> None:
    assert (ROOT / "docs" / "errors.md").read_text() == markdown(), "run script/docs"
    rows = re.findall(r"^\| `(\w+)` \| (.+) \| (.+) \|$", markdown(), re.MULTILINE)
    assert {name: (title, mend) for name, title, mend in rows} == {
        name: (code.title, code.mend) for name, code in CODES.items()
    }


def test_the_served_page_lists_exactly_these(committed_db: str) -> None:
    page = Client().get("/docs/errors")
    assert page.status_code == 200
    cells = r"<td><code>(\w+)</code></td><td [^>]*>(\d+)</td><td><p>(.*?)</p><p[^>]*>(.*?)</p></td>"
    rows = re.findall(rf'<tr id="(\w+)">{cells}</tr>', page.content.decode())
    assert len(rows) == len(CODES)
    for identifier, name, status, title, mend in rows:
        assert identifier == name
        shown = re.sub(r"</?code>", "`", mend)
        assert (int(status), html.unescape(title), html.unescape(shown)) == CODES[name], name
