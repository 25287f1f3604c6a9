"""The pages of evaluation runs: what they say, what they hide, how they move, and that size costs no questions."""

import json
import re
import time

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from playwright.sync_api import expect

from evaluations.actions.rules import add_rule
from evaluations.actions.sets import create_set
from evaluations.models import Cell, EvaluationRun
from evaluations.pages.intervals import plot_of_points
from evaluations.pages.run_cases import side_by_side
from evaluations.planning import insert_repeats
from evaluations.running.deciding import advance
from evaluations.running.engine import work
from evaluations.running.facts import Facts, read_run
from promptforge.lib.ids import encode
from promptforge.lib.json import canonical_json
from prompts.models import Channel
from tests.evaluations.rows import PLAN, new_connection, new_run, new_set
from tests.pages.conftest import Demo, Visit, signed_in
from tests.pages.evaluated import asking, begun, evaluated, run_address
from tests.pages.listed import promotion
from tests.personas import Team

MOST_SECONDS = 0.3


@pytest.fixture
def failed(standing_demo: Demo) -> EvaluationRun:
    return evaluated(standing_demo, "FAIL")


@pytest.fixture
def ben(standing_demo: Demo) -> Client:
    return signed_in(standing_demo.people["ben"])


def read(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


# --- What the page answers -------------------------------------------------------------------------------------------
def test_the_page_answers_what_a_first_time_reader_asks(
    ben: Client, failed: EvaluationRun, standing_demo: Demo
) -> None:
    said = read(ben, run_address("FAIL")(standing_demo))
    for what in (
        "version 4 against version 3",  # what was compared
        "The candidate is worse than the live version on these 10 cases",  # is it worse anywhere
        "Case “rug",
        "Missing: “200 x 300”",
        "True change between",  # how sure
        "$0.0",  # what did it cost
        "It holds version 4 back from stable",  # what happens now
        "More exclamations",
        "not calibrated yet",
        "this is the first on exactly this",
    ):
        assert what in said, what


def test_every_figure_of_the_picture_stands_in_the_table(failed: EvaluationRun, ben: Client) -> None:
    plot = plot_of_points(failed.verdict_object or {})
    assert plot is not None
    assert len(plot.rows) == 6
    said = read(ben, f"/p/demo/evaluations/runs/{encode('run', failed.pk)}/")
    for row in plot.rows:
        assert said.count(row.told) >= 2, row.name
        assert row.between in said
    drawn = [float(place.removesuffix("%")) for row in plot.rows for place in (row.mark, row.low, row.width)]
    assert all(0 <= place <= 100 for place in drawn)


def test_a_criterion_that_advises_is_compared_and_does_not_count(failed: EvaluationRun) -> None:
    told = {each["criterion"]: each for each in (failed.verdict_object or {})["criteria"]}
    assert not told["Kind tone"]["counts"]
    size = told["Right size"]
    assert (size["candidate"], size["baseline"], size["cases"]) == (pytest.approx(0.2), 1.0, 10)
    assert size["delta"] == pytest.approx(-0.8)
    assert size["interval"][0] < size["delta"] < size["interval"][1] < 0


def test_a_paused_run_says_why_and_what_it_cost(demo: Demo) -> None:
    with asking() as provider:
        run = begun(demo, provider)
        provider.behave(fault="bad_key")
        work(60)
    address = f"/p/demo/evaluations/runs/{encode('run', run.pk)}/"
    EvaluationRun.objects.filter(pk=run.pk).update(unpriced_calls=3)
    client = signed_in(demo.people["emil"])
    said = read(client, address)
    assert "unknown , 3 calls at a price that nobody knows" in said
    assert "The provider refuses the key (401). Once that is mended, resume it" in said
    # Nothing was mended: the connection still has the key, so the run goes on and would pause again.
    assert client.post(address, {"act": "resume"}).status_code == 302
    assert client.get(f"{address}progress/").headers.get("HX-Refresh") is None
    assert client.post(address, {"act": "cancel"}).status_code == 302
    assert client.get(f"{address}progress/").headers["HX-Refresh"] == "true"
    # A promotion's page, on which somebody may be writing a review, is not taken away.
    beside = client.get(f"{address}progress/", headers={"HX-Current-URL": "http://testserver/p/demo/promotions/pro_1/"})
    assert beside.headers.get("HX-Refresh") is None
    assert "The evaluation ended." in beside.content.decode()
    assert client.post(address, {"act": "cancel"}).status_code == 409
    assert "Cancelled before it could say anything" in read(client, address)


def test_a_run_that_was_cancelled_is_run_again_from_the_promotion(visit: Visit, demo: Demo) -> None:
    with asking() as provider:
        cancelled = begun(demo, provider)
        stable = Channel.objects.get(project=demo.project, name="stable")
        asked = {"evaluation_set": cancelled.set_revision.set, "connection": cancelled.connection}
        add_rule(by=demo.principal("farah"), channel=stable, prompt=cancelled.candidate.prompt, **asked)
        emil = visit("emil", f"/p/demo/evaluations/runs/{encode('run', cancelled.pk)}/")
        emil.get_by_role("button", name="Cancel").click()
        expect(emil.locator(".banner.is-passed")).to_contain_text("The run is cancelled.")
        emil.goto(promotion("support/greeting@9")(demo))
        emil.get_by_role("button", name="Run it again").click()
        expect(emil.locator(".banner.is-passed")).to_contain_text("It is evaluated again.")
    started = EvaluationRun.objects.latest("pk")
    assert (started.status, started.candidate, started.baseline) == (
        "queued",
        cancelled.candidate,
        cancelled.baseline,
    )
    assert emil.url.endswith(f"/{encode('run', started.pk)}/")


def test_a_run_that_waits_says_so_wherever_its_set_is_shown(demo: Demo) -> None:
    with asking() as provider:
        run = begun(demo, provider)
    emil, of_set = signed_in(demo.people["emil"]), encode("set", run.set_revision.set_id)
    for address in ("/p/demo/evaluations/", f"/p/demo/evaluations/sets/{of_set}/"):
        said = read(emil, address)
        assert "Waits to begin" in said, address
        assert "Running" not in said, address
    other = create_set(by=demo.principal("emil"), name="Never run")
    assert "Waits to begin" not in read(emil, f"/p/demo/evaluations/sets/{encode('set', other.pk)}/")


def test_what_a_model_wrote_is_text() -> None:
    old = "Take <b>one</b> & wait, as we always do here at Alder & Finch."
    new = "Take <b>two</b> & wait, as we always do here at Alder & Finch.\u202e"
    before, after = side_by_side(old, new)
    assert "<b>" not in before + after
    assert '<del><span class="visually-hidden">removed: </span>one</del>' in before
    assert '<ins><span class="visually-hidden">added: </span>two</ins>' in after
    assert "right-to-left override" in after
    plain, other = side_by_side("Yes, gladly.", "The parcel left this morning and comes tomorrow.")
    assert "<ins>" not in plain + other


@pytest.mark.parametrize("form", ["junit", "markdown", "csv", "json"])
def test_it_is_taken_away_as_a_file(ben: Client, failed: EvaluationRun, form: str) -> None:
    answer = ben.get(f"/p/demo/evaluations/runs/{encode('run', failed.pk)}/{form}")
    assert answer.status_code == 200
    assert (b"Rug sizes" if form == "markdown" else b"rug 1") in answer.content
    assert "attachment" in answer["Content-Disposition"]


@pytest.mark.parametrize(
    "path", ["run_zzzz/", "{run}/?case=nothing", "{run}/html", "run_zzzz/progress/", "run_zzzz/json"]
)
def test_what_is_not_there_is_not_found(ben: Client, failed: EvaluationRun, path: str) -> None:
    asked = f"/p/demo/evaluations/runs/{path.format(run=encode('run', failed.pk))}"
    assert ben.get(asked).status_code == 404


@pytest.mark.parametrize("most", ["-1", "0", "much", "nan", "1e9"])
def test_a_ceiling_is_a_sum_of_money(standing_demo: Demo, failed: EvaluationRun, most: str) -> None:
    emil, count = signed_in(standing_demo.people["emil"]), EvaluationRun.objects.count()
    sent = {"prompt": "shop/size-advice", "version": "4", "against": "stable", "set": "Rug sizes"}
    answer = emil.post("/p/demo/evaluations/runs/new/", sent | {"connection": "small-chat", "max_cost_usd": most})
    assert answer.status_code == 400
    assert b"A number of dollars above 0" in answer.content
    assert EvaluationRun.objects.count() == count


def test_a_new_run_without_a_prompt_asks_which(standing_demo: Demo, failed: EvaluationRun) -> None:
    said = read(signed_in(standing_demo.people["emil"]), "/p/demo/evaluations/runs/new/?prompt=")
    assert "Which prompt is to be compared?" in said
    assert "shop/size-advice" in said
    assert signed_in(standing_demo.people["noor"]).get("/p/demo/evaluations/runs/new/").status_code == 403


# --- In the browser --------------------------------------------------------------------------------------------------
def test_by_keyboard_from_the_promotion_to_a_case_and_back(look: Visit, standing_demo: Demo) -> None:
    evaluated(standing_demo, "FAIL")
    page = look("ben", "/p/demo/prompts/shop/size-advice/")
    page.get_by_role("link", name="Promotion of 4").press("Enter")
    page.get_by_role("link", name="See the evaluation").press("Enter")
    expect(page.locator("h1")).to_have_text("The candidate is worse than the live version on these 10 cases")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="One case, every answer")).to_be_visible()
    assert page.locator(".answers .sides").count() == 5
    page.get_by_role("link", name="Back to the promotion").press("Enter")
    expect(page.get_by_role("heading", name="What the model says")).to_be_visible()


def test_a_run_that_ends_is_told_without_asking(visit: Visit, demo: Demo) -> None:
    with asking() as provider:
        run = begun(demo, provider)
        page = visit("emil", f"/p/demo/evaluations/runs/{encode('run', run.pk)}/")
        expect(page.locator("#live-run")).to_contain_text("0 of 60 answers of look 1")
        work(60)
    expect(page.get_by_role("heading", name="Old and new answers")).to_be_visible()
    expect(page.locator("h1")).to_have_text("The candidate is no worse than the live version on these 6 cases")


# --- Size ------------------------------------------------------------------------------------------------------------
def finished(team: Team, name: str, cases: int, repeats: int) -> EvaluationRun:
    """A run on whose cells the engine decided; every tenth case got worse."""
    prompt = team.prompt(name, versions=2)
    owner = new_set(team, prompt, cases=cases, name=name)
    line = new_connection(team, name=name.replace("/", "-"))
    run = new_run(team, owner, prompt, connection=line, plan=json.dumps(PLAN | _plan(repeats)), max_calls=100_000)
    insert_repeats(run, list(run.set_revision.cases), 0, repeats)
    EvaluationRun.objects.filter(pk=run.pk).update(status="running", started_at=run.created_at)
    measures = {"words": 3, "refused": False, "invariants": {}, "features": {"exclamations": 0.0}}
    scores = [{"criterion": "greets", "explanation": "x" * 200, "passed": True, "value": 1.0, "weight": 1.0}]
    cells = Cell.objects.filter(run=run)
    cells.update(state="calling", fence=1, tries=1)
    done = {"state": "done", "output": "Hello Ada! " * 20, "measures": canonical_json(measures)}
    worse = cells.filter(arm="candidate", case__position__endswith="0")
    worse_ids = list(worse.values_list("pk", flat=True))
    cells.exclude(pk__in=worse_ids).update(score=1.0, passed=True, scores=canonical_json(scores), **done)
    cells.filter(pk__in=worse_ids).update(score=0.0, passed=False, scores=canonical_json(scores), **done)
    advance(Facts(read_run(run.pk)))
    run.refresh_from_db()
    return run


def _plan(repeats: int) -> dict[str, object]:
    return {"looks": [repeats], "estimand": "traffic like these", "margin": 0.03}


def asked(client: Client, path: str) -> tuple[int, float]:
    client.get(path)
    best = []
    for _ in range(5):
        begun = time.perf_counter()
        with CaptureQueriesContext(connection) as queries:
            assert client.get(path).status_code == 200
        best.append(time.perf_counter() - begun)
    return len(queries), min(best)


@pytest.mark.full
@pytest.mark.parametrize("show", ["", "?cases=same&page=40", "?case=case+20"])
def test_a_large_run_is_as_quick_as_a_small_one(careful_team: Team, show: str) -> None:
    small, large = finished(careful_team, "a/small", 20, 2), finished(careful_team, "a/large", 500, 6)
    client = signed_in(careful_team.ben.user)
    few, _ = asked(client, f"/p/{careful_team.project}/evaluations/runs/{encode('run', small.pk)}/{show}")
    many, seconds = asked(client, f"/p/{careful_team.project}/evaluations/runs/{encode('run', large.pk)}/{show}")
    print(f"{show or 'the page'}: {many} queries, {1000 * seconds:.0f} ms")
    assert large.outcome == "FAIL"
    assert many <= few + 1
    assert seconds < MOST_SECONDS
