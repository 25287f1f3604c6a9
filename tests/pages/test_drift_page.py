"""The drift page: what moved, whose change it was, and what one may do about it."""

from playwright.sync_api import expect

from evaluations.models import DriftNight, DriftWatch, EvaluationRun
from events.models import Event
from prompts.models import Head
from tests.pages.conftest import Demo, Visit, accessible, signed_in
from tests.pages.drifting import LOUD, Watched, drifted
from tests.pages.test_promotion import queries
from tests.pages.test_settings import banner


def test_a_drift_is_met_in_the_inbox_and_answered_by_another_reference(visit: Visit, demo: Demo) -> None:
    drifted(demo)
    farah = visit("farah", "/p/demo/")
    incident = farah.locator(".banner.is-failed", has_text="drifted in staging")
    expect(incident).to_contain_text("Nothing changed here; the model did.")
    incident.get_by_role("link", name="See the figures").press("Enter")
    expect(farah.get_by_role("heading", level=1)).to_have_text("1 of 2 watched models drifted")
    first, second = farah.locator(".watched").all()
    expect(first).to_contain_text(LOUD)
    expect(first.get_by_role("img")).to_have_accessible_name(
        "The score of 11 runs: 63% in the newest, 95% in the reference."
    )
    expect(first.locator("tbody tr").first).to_contain_text("63%")
    expect(second).to_contain_text("The reference is being taken.")
    accessible(farah)

    first.get_by_text("How it is watched").click()
    first.get_by_label("A drift freezes staging").press("Space")
    first.get_by_role("button", name="Keep").press("Enter")
    expect(banner(farah)).to_contain_text("is watched as you said")
    watch = DriftWatch.objects.get(state="drifted")
    assert watch.freezes_for == demo.people["farah"]

    first.get_by_text("How it is watched").click()
    first.get_by_role("link", name="Take a new reference").press("Enter")
    farah.wait_for_url("**/drift/?ask=*")
    expect(farah.get_by_label("Why it is right")).to_be_focused()
    farah.keyboard.press("Enter")
    farah.get_by_label("Why it is right").fill("The answers are shorter, and right")
    farah.get_by_role("button", name="Take a new reference").press("Enter")
    # The case of this set fills no prompt: what cannot be asked is no reference.
    expect(farah.locator(".banner.is-failed")).to_contain_text("Required and not given: customer_name")
    assert not Event.objects.filter(kind="reference.taken").exists()


def test_who_may_not_change_channels_is_offered_nothing(visit: Visit, demo: Demo) -> None:
    noor = visit("noor", drifted(demo))
    expect(noor.get_by_role("heading", level=1)).to_have_text("1 of 2 watched models drifted")
    assert noor.get_by_text("How it is watched").count() == 0


def test_a_run_that_paused_says_why(demo: Demo) -> None:
    path = drifted(demo, watches=0)
    heads = Head.objects.filter(channel__project=demo.project, channel__name="staging").exclude(version=None)
    watched = Watched(demo, heads.select_related("prompt", "channel", "version").earliest("pk"))
    watched.end(watched.reference)
    run = watched.run("drift")
    DriftNight.objects.create(watch=watched.watch, reference=watched.reference, run=run)
    EvaluationRun.objects.filter(pk=run.pk).update(status="paused", pause_reason="The key is refused.")
    page = signed_in(demo.people["farah"]).get(path).content.decode()
    assert "The newest run waits: The key is refused. The next one takes its place when it is due." in page


def test_the_number_of_queries_does_not_grow(demo: Demo) -> None:
    path, farah = drifted(demo, watches=1), signed_in(demo.people["farah"])
    before = {each: queries(farah, each) for each in (path, "/p/demo/")}
    for head in Head.objects.filter(channel__project=demo.project, channel__name="staging").exclude(version=None)[1:4]:
        Watched(demo, Head.objects.select_related("prompt", "channel", "version").get(pk=head.pk)).live(drifts=True)
    assert DriftWatch.objects.count() == 4
    assert {each: queries(farah, each) for each in before} == before
    assert before[path] <= 15, before
