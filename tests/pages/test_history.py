"""History: what was live at a moment, the ledger around it, its proof, and the same as files."""

import csv
import io

from django.db import connections
from playwright.sync_api import expect

from prompts.actions.releases import rollback
from prompts.models import Channel, Prompt, Release
from tests.pages.conftest import Demo, Visit, signed_in
from tests.pages.listed import tuesday

HISTORY = "/p/demo/history/"


def table(demo: Demo, what: str, query: str = "") -> list[dict[str, str]]:
    answer = signed_in(demo.people["ada"]).get(f"{HISTORY}{what}.csv?{query}")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    text = b"".join(answer.streaming_content).decode()
    assert text[0] == "\ufeff"
    return list(csv.DictReader(io.StringIO(text[1:])))


def test_by_keyboard_what_was_live_last_tuesday(visit: Visit, demo: Demo) -> None:
    """The demo's story: from 09:41 until 10:21 UTC version 7 of support/refund-answer was live."""
    page = visit("ada", HISTORY)
    day = tuesday().removeprefix("date=").removesuffix("&time=10:00")
    page.get_by_label("Date").focus()
    page.get_by_label("Date").fill(day)
    page.get_by_label("Time", exact=True).fill("11:00")
    page.get_by_label("Zone").fill("Europe/Vienna")
    page.keyboard.press("Tab")
    page.keyboard.type("support/refund-answer")
    page.keyboard.press("Enter")
    answered = page.locator("#answered")
    expect(answered).to_be_focused()
    expect(answered).to_contain_text("11:00 in Vienna")
    row = page.locator("section:has(#answered) tbody tr")
    expect(row).to_have_count(1)
    expect(row.locator(".channel")).to_have_text("stable7")
    expect(page.get_by_text("10:00 UTC.")).to_be_visible()
    expect(page.locator("#rows")).to_contain_text("Chain verified")


def test_what_cannot_be_read_is_refused_at_its_field_and_kept(visit: Visit, demo: Demo) -> None:
    page = visit("ada", f"{HISTORY}?{tuesday()}&zone=Mars/Olympus&of=support/", scripts=False)
    assert page.get_by_label("Zone").input_value() == "Mars/Olympus"
    assert page.get_by_label("Prompt or folder").input_value() == "support/"
    assert page.locator("#zone-says").inner_text().startswith("Mars/Olympus is no time zone.")
    client = signed_in(demo.people["ada"])
    for query in (
        "date=2999-01-01", "date=2026-02-30", "date=x", f"{tuesday()[:15]}&time=25:00", f"{tuesday()}&of=none/",
        f"{tuesday()}&channel=none",
    ):  # fmt: skip
        answer = client.get(f"{HISTORY}?{query}")
        assert answer.status_code in (400, 404), query
        assert b'class="banner is-failed"' in answer.content, query


def test_the_files_hold_what_the_page_shows(demo: Demo) -> None:
    live = {row["prompt"]: row["version"] for row in table(demo, "live", tuesday())}
    assert live["support/refund-answer"] == "7"
    assert "shop/gift-finder" not in live
    ledger = table(demo, "ledger")
    assert len(ledger) == len({row["digest"] for row in ledger}) == Release.objects.count() > 40
    trail = table(demo, "trail")
    assert [int(row["number"]) for row in trail] == list(range(len(trail), 0, -1))


def test_no_cell_becomes_a_formula(demo: Demo) -> None:
    for reason in ("=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "\t=1", " =1", "-5"):
        rollback(
            by=demo.principal("cleo"),
            prompt=Prompt.objects.get(name="support/greeting"),
            channel=Channel.objects.select_related("policy").get(project=demo.project, name="stable"),
            reason=reason,
        )
        written = table(demo, "ledger", "of=support/greeting")[0]["why"]
        assert written == (reason if reason == "-5" else f"'{reason}")


def test_a_changed_row_does_not_add_up(demo: Demo) -> None:
    client = signed_in(demo.people["ada"])
    for path in (HISTORY, f"{HISTORY}?show=trail"):
        assert "Chain verified" in client.get(path).content.decode()
    with connections["owner"].cursor() as cursor:
        cursor.execute("ALTER TABLE prompts_release DISABLE TRIGGER USER")
        cursor.execute("UPDATE prompts_release SET reason = 'Nothing' WHERE id = (SELECT max(id) FROM prompts_release)")
        cursor.execute("ALTER TABLE events_event DISABLE TRIGGER USER")
        cursor.execute("UPDATE events_event SET actor_id = actor_id + 1 WHERE id = (SELECT max(id) FROM events_event)")
    ledger, trail = (client.get(path).content.decode() for path in (HISTORY, f"{HISTORY}?show=trail"))
    assert "was changed after it was written" in ledger
    assert "was changed, or the order of the events was" in trail
    assert "Chain verified" not in ledger + trail
