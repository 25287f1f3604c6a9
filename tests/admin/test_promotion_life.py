"""The whole life of a promotion in the admin, by three people: sent back, renewed, scheduled, rolled back twice."""

from datetime import timedelta

from django.utils import timezone

from events.admin.seen import page_of
from prompts.actions.schedules import apply_what_is_due
from prompts.models import Head, Promotion, Release
from tests.admin.conftest import Browser
from tests.admin.desk import Desk, page_for
from tests.api.people import events_of, last_event
from tests.guards.attacks import let_time_pass, set_policy
from tests.personas import Team
from tests.promotions.steps import NAME, live


def test_the_whole_life(careful_team: Team, browser: Browser) -> None:
    team = careful_team
    ada, ben, cleo = (Desk(browser(who.user)) for who in (team.ada, team.ben, team.cleo))
    prompt, since = team.prompt(versions=3), last_event()
    one, two, three = (team.version(prompt, number) for number in (1, 2, 3))

    first = ada.opens(one, aim="The first greeting")
    page = ada.read(first)
    assert "Version 1, the first on stable." in page
    assert "One approval of one is missing." in page
    assert "Contributed to it, and so cannot approve: Ada." in page
    assert [desk.offered(first) for desk in (ada, ben, cleo)] == [
        ["Comment", "Withdraw"],
        ["Review", "Reject"],
        ["Review", "Withdraw", "Reject"],
    ]
    assert ben.does(first, "review", decision="approve") == "You approved it."
    assert "Approved by Ben." in cleo.read(first)
    assert cleo.offered(first)[0] == "Apply now"
    assert cleo.does(first, "apply") == f"{NAME}@1 is live on stable now, at revision 1."
    assert Release.objects.get().reason == "The first greeting"
    assert "It was applied by Cleo." in ada.read(first)

    # Sent back, and settled by the same reviewer.
    second, rival = ada.opens(two), ada.opens(three, note="Shorter still")
    assert ben.does(second, "review", decision="request_changes", body="Too long") == "You asked for changes."
    page = ada.read(second)
    assert "2 things are missing." in page
    assert "Ben asked for changes." in page
    assert "Too long" in page
    assert "Apply now" not in cleo.offered(second)
    refusal = cleo.is_refused(second, "apply", reason="Now, please")
    assert refusal == [f"{NAME}@2 cannot go live on stable yet. Ben asked for changes. One approval of one is missing."]
    ben.does(second, "review", decision="approve")
    assert "Does not count: Ben decided anew since." in ada.read(second)
    ben.does(rival, "review", decision="approve")
    cleo.does(second, "apply", reason="Two it is")
    assert live(team) == (2, 2)

    # The other one compared with what is no longer live.
    page = ada.read(rival)
    assert "It was opened when version 1 was live on stable; by now version 2 is. Renew the promotion." in page
    assert cleo.is_refused(rival, "apply")[0].endswith("by now version 2 is. Renew the promotion.")
    assert ada.offered(rival)[0] == "Renew"
    ada.does(rival, "renew")
    renewed = Promotion.objects.latest("pk")
    assert (renewed.base_version, renewed.note) == (two, "Shorter still")
    assert "It was superseded by Ada." in ben.read(rival)
    assert "One approval of one is missing." in ben.read(renewed)

    # Scheduled, and applied by the sweeper as Cleo.
    ben.does(renewed, "review", decision="approve")
    at = (timezone.now() + timedelta(hours=2)).replace(second=0)
    said = cleo.does(renewed, "schedule", apply_at=f"{at:%Y-%m-%dT%H:%M}", reason="When the shop is empty")
    assert said == f"It goes live at {at:%Y-%m-%d %H:%M} UTC."
    assert f"It goes live at {at:%Y-%m-%d %H:%M} UTC, as Cleo scheduled." in ada.read(renewed)
    cleo.does(renewed, "unschedule")
    assert "Nothing is missing" in ada.read(renewed)
    cleo.does(renewed, "schedule", apply_at=f"{at:%Y-%m-%d %H:%M}")
    assert apply_what_is_due() == []
    let_time_pass(hours=2, seconds=5)
    [release] = apply_what_is_due()
    assert (release.actor, live(team)) == (team.cleo.user, (3, 3))
    assert "It was applied by Cleo." in ada.read(renewed)
    assert "Version 2 stays one step away" in ada.read(renewed)

    # Rolled back, twice: to 2, and from there to 1.
    head = Head.objects.get(prompt=prompt, channel=team.stable)
    assert cleo.moves(head, "rollback") == f"{NAME}@2 is live on stable now, at revision 4."
    assert cleo.moves(head, "rollback") == f"{NAME}@1 is live on stable now, at revision 5."
    assert [release.kind for release in Release.objects.order_by("pk")] == ["promote"] * 3 + ["rollback"] * 2
    told = [kind for kind in events_of(team, since) if kind.split(".")[0] in ("promotion", "review", "release")]
    assert told == [
        "promotion.opened", "review.given", "release.made", "promotion.applied",
        "promotion.opened", "promotion.opened", "review.given", "review.given", "review.given",
        "release.made", "promotion.applied",
        "promotion.superseded", "promotion.opened", "review.given",
        "promotion.scheduled", "promotion.unscheduled", "promotion.scheduled",
        "release.made", "promotion.applied", "release.made", "release.made",
    ]  # fmt: skip


def test_other_ends(careful_team: Team, browser: Browser) -> None:
    team = careful_team
    ada, ben, cleo, noor = (Desk(browser(who.user)) for who in (team.ada, team.ben, team.cleo, team.noor))
    one = team.version(team.prompt(), 1)
    head = Head.objects.get(prompt=one.prompt, channel=team.stable)
    assert "Open a promotion of version 1" in ada.read(head)
    assert "Open a promotion" not in noor.read(head)
    assert "Promote" not in cleo.read(head).split("Roll back")[0]  # a protected channel takes no direct release
    promotion = ada.opens(one)
    assert noor.offered(promotion) == ["Comment"]
    assert noor.does(promotion, "review", decision="comment", body="Kind.") == "Your comment stands beside it."
    ben.does(promotion, "review", decision="request_changes", body="No.")
    review = promotion.reviews.get(decision="request_changes")
    assert ben.is_refused(review, "dismiss", reason="x") == [
        "Your role in shop does not let you release and roll back."
    ]
    assert cleo.is_refused(review, "dismiss") == ["Say why it counts no longer; its author will read it."]
    assert cleo.does(review, "dismiss", reason="Settled") == "The review of Ben counts no longer."
    assert "Does not count: It was dismissed: Settled" in noor.read(promotion)
    assert ada.does(promotion, "withdraw") == "It is withdrawn."
    promotion = ada.opens(one)
    assert ben.is_refused(promotion, "reject") == ["Say why you reject it; its author will read it."]
    assert ben.does(promotion, "reject", reason="Not in December") == "It is rejected."
    assert "Not in December" in ada.read(promotion)
    assert [desk.offered(promotion) for desk in (ada, ben, cleo, noor)] == [[], [], [], []]


def test_each_check_leads_to_what_mends_it(careful_team: Team, browser: Browser) -> None:
    team, ada = careful_team, Desk(browser(careful_team.ada.user))
    one = team.version(team.prompt(content="Hi\u202e password: Xk29fkQ1zz8Lm3"), 1)
    promotion = ada.opens(one)
    review, save = page_for(promotion, "review"), page_for(one.prompt, "save")
    freezes = f"/admin/prompts/freezewindow/?channel__id__exact={team.stable.pk}"
    policy = page_of(promotion.policy)
    assert list(ada.checks(promotion).items()) == [
        ("Review", ("waiting", review)),
        ("Evaluation", ("not required", policy)),
        ("Up to date", ("passed", page_of(Head.objects.get(prompt=one.prompt, channel=team.stable)))),
        ("Variables", ("passed", "#changes")),
        ("Hidden text", ("waiting", review)),
        ("Secrets", ("failed", save)),
        ("Canary", ("not required", policy)),
        ("Freeze", ("passed", freezes)),
    ]
    set_policy(team, required_approvals=2)
    assert ada.checks(promotion)["Up to date"] == ("stale", page_for(promotion, "renew"))
    let_time_pass(days=15)
    assert ada.checks(promotion)["Age"] == ("expired", page_for(promotion, "renew"))


def test_broken_glass_is_ratified_by_another(careful_team: Team, browser: Browser) -> None:
    team = careful_team
    cleo, emil, farah = (Desk(browser(who.user)) for who in (team.cleo, team.emil, team.farah))
    head = Head.objects.get(prompt=team.prompt(), channel=team.stable)
    typed = {"version": 1, "reason": "The shop says nothing at all."}
    assert cleo.is_refused(head, "break-glass", **typed)[0].startswith("Breaking glass takes a grant")
    grant = {"project": team.project.pk, "email": "cleo@shop.example", "minutes": 10}
    assert farah.client.post("/admin/accounts/breakglassgrant/add/", grant).status_code == 302
    cleo.moves(head, "break-glass", **typed)
    release = Release.objects.get()
    assert "Nobody yet" in farah.read(release)
    assert cleo.is_refused(release, "ratify") == ["You broke the glass, so somebody else ratifies it."]
    assert farah.is_refused(release, "ratify") == ["Your role in shop does not let you release and roll back."]
    assert emil.does(release, "ratify", note="Right.") == f"{release} is ratified."
    assert "Emil, " in farah.read(release)
