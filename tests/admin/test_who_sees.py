"""What a staff member of one project finds of another: nothing, through any page."""

import json

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from accounts.models import ApiKey, Membership, User
from prompts.models import Draft, Head, Prompt, PromptVersion
from tests.admin.conftest import Browser
from tests.personas import Team

MARK = "bank"


@pytest.fixture
def ours(filled: Team, others: Team, browser: Browser) -> Client:
    """Farah administers the shop; the bank, as full, is none of her business."""
    return browser(filled.farah.user)


def test_no_list_shows_or_counts_rows_of_another_project(ours: Client, filled: Team, others: Team) -> None:
    for model, pages in admin.site._registry.items():
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        answer = ours.get(reverse(f"{name}_changelist") + "?_facets=True")
        assert answer.status_code == 200
        seen = answer.context["cl"].queryset
        theirs = _of(model, pages, others)
        assert theirs, name
        assert not theirs & set(seen.values_list("pk", flat=True)), name
        assert MARK not in answer.content.decode(), name
        if model is not Draft:
            assert _of(model, pages, filled) <= set(seen.values_list("pk", flat=True)), name


def _of(model, pages, team: Team) -> set[int]:  # type: ignore[no-untyped-def]
    if model is User:
        return set(User.objects.filter(membership__project=team.project).values_list("pk", flat=True))
    return set(model._default_manager.filter(**{pages.project_lookup: team.project.pk}).values_list("pk", flat=True))


def test_no_page_opens_a_row_of_another_project(ours: Client, others: Team) -> None:
    for model, pages in admin.site._registry.items():
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        for pk in sorted(_of(model, pages, others))[:2]:
            words = ["change", "history", "delete", *(verb.word for verb in pages.verbs)]
            for word in words:
                answer = ours.get(reverse(f"{name}_{word}", args=[pk]))
                assert answer.status_code in (302, 403, 404), (name, word)
                assert MARK not in _after(ours, answer), (name, word)


def _after(client: Client, answer) -> str:  # type: ignore[no-untyped-def]
    """The text of the answer, or of the page that it leads to."""
    return (client.get(answer["Location"]) if answer.status_code == 302 else answer).content.decode()


def test_a_former_state_of_another_projects_member_is_not_shown(ours: Client, filled: Team, others: Team) -> None:
    theirs = Membership.objects.get(project=others.project, user=others.ada.user)
    own = Membership.objects.get(project=filled.project, user=filled.ada.user)
    pages = [(theirs.pk, theirs.history.first().pk), (own.pk, theirs.history.first().pk)]
    for pk, former in pages:
        answer = ours.get(reverse("admin:accounts_membership_simple_history", args=[pk, former]))
        assert answer.status_code == 404
    gone = theirs.pk
    theirs.delete()
    assert ours.get(reverse("admin:accounts_membership_history", args=[gone])).status_code == 404


def test_autocomplete_choices_and_filters_offer_nothing_of_another_project(ours: Client, others: Team) -> None:
    for app, model, field in (
        ("prompts", "promptversion", "prompt"),
        ("prompts", "release", "actor"),
        ("prompts", "head", "version"),
        ("accounts", "membership", "user"),
    ):
        asked = {"app_label": app, "model_name": model, "field_name": field, "term": MARK}
        answer = ours.get(reverse("admin:autocomplete"), asked)
        assert json.loads(answer.content)["results"] == []
    for page in ("accounts_membership_add", "accounts_apikey_add", "prompts_prompt_add"):
        assert MARK not in ours.get(reverse(f"admin:{page}")).content.decode()
    listed = ours.get(reverse("admin:prompts_release_changelist") + f"?project={others.project.pk}")
    assert listed.context["cl"].queryset.count() == 0


def test_a_project_out_of_reach_cannot_be_chosen_by_its_id(ours: Client, others: Team) -> None:
    count = ApiKey.objects.count()
    asked = {"project": others.project.pk, "name": "k", "scopes": ["prompts:read"]}
    answer = ours.post(reverse("admin:accounts_apikey_add"), asked)
    assert "not one of the available choices" in answer.content.decode()
    assert ApiKey.objects.count() == count


@pytest.mark.parametrize(
    "query",
    [
        "accounts_user:password__startswith=argon2",
        "accounts_user:groups__id__exact=1",
        "accounts_user:membership__id__exact=1",
        "accounts_user:membership__project__name=bank",
        "accounts_apikey:secret_hash__startswith=a",
        "prompts_promptversion:content__contains=secret",
    ],
)
def test_a_list_cannot_be_narrowed_by_what_it_does_not_show(ours: Client, query: str) -> None:
    name, _, condition = query.partition(":")
    assert ours.get(reverse(f"admin:{name}_changelist") + "?" + condition).status_code == 400


@pytest.mark.parametrize(
    "query",
    [
        "prompts_prompt:name__contains=%00",
        "prompts_prompt:q=%00",
        "prompts_prompt:q=%ed%a0%80",
        "prompts_prompt:id__exact=99999999999999999999",
        "prompts_prompt:created_at__year=x",
        "prompts_prompt:created_at__year=99999999999999999999",
        "accounts_user:created_at__year=2026&created_at__month=99999999999999999999",
        "prompts_prompt:project=99999999999999999999",
        "prompts_prompt:project=%00",
        "prompts_prompt:o=9.9&p=99",
        "events_event:subject_id__exact=99999999999999999999",
        "events_event:subject_id__exact=x",
        "events_event:kind__regex=(",
        "events_event:at__gte=x",
    ],
)
def test_a_nonsensical_condition_is_no_fault_of_ours(ours: Client, query: str) -> None:
    name, _, condition = query.partition(":")
    assert ours.get(reverse(f"admin:{name}_changelist") + "?" + condition).status_code < 500


@pytest.mark.parametrize("key", ["x", "0", "-1", "%00", "99999999999999999999", "1_5F", "²"])
def test_a_nonsensical_address_is_no_fault_of_ours(ours: Client, key: str) -> None:
    for page in ("change", "history", "history/1", "history/x", "save", "rights"):
        assert ours.get(f"/admin/prompts/prompt/{key}/{page}/").status_code < 500


def test_keys_and_members_are_listed_for_who_manages_them_and_drafts_for_who_writes_them(
    filled: Team, browser: Browser
) -> None:
    def listed(user: User, name: str) -> int:
        return int(browser(user).get(reverse(f"admin:{name}_changelist")).context["cl"].queryset.count())

    assert [listed(p.user, "accounts_apikey") for p in (filled.noor, filled.ada, filled.farah)] == [0, 0, 1]
    assert [listed(p.user, "prompts_draft") for p in (filled.noor, filled.ada, filled.farah)] == [0, 1, 0]
    assert [listed(p.user, "accounts_membership") for p in (filled.noor, filled.farah)] == [1, 6]
    grants = [listed(p.user, "accounts_breakglassgrant") for p in (filled.noor, filled.cleo, filled.farah)]
    assert grants == [0, 1, 1]


def test_what_is_offered_follows_the_role(filled: Team, root: User, browser: Browser) -> None:
    prompt = Prompt.objects.get(name="shop/greeting")
    head = Head.objects.get(prompt=prompt)

    def offered(user: User) -> list[str]:
        pages = (("prompt", prompt.pk), ("head", head.pk))
        client = browser(user)
        texts = [client.get(reverse(f"admin:prompts_{n}_change", args=[pk])).content.decode() for n, pk in pages]
        words = ("save", "rights", "promote", "rollback", "break-glass")
        return [word for word in words if any(f"/{word}/" in text for text in texts)]

    assert offered(filled.noor.user) == ["break-glass"]
    # Ada holds the right to release on this one prompt, and the group of the reviewers the right to edit it.
    assert offered(filled.ada.user) == ["save", "promote", "rollback", "break-glass"]
    assert offered(filled.ben.user) == ["save", "break-glass"]
    assert offered(filled.farah.user) == ["save", "rights", "break-glass"]
    assert offered(root) == []


def test_who_is_no_staff_member_or_no_longer_active_sees_nothing(filled: Team, browser: Browser) -> None:
    client = browser(filled.ada.user)
    page = reverse("admin:prompts_prompt_changelist")
    assert client.get(page).status_code == 200
    User.objects.filter(pk=filled.ada.user.pk).update(is_staff=False)
    assert client.get(page).status_code == 302
    User.objects.filter(pk=filled.ada.user.pk).update(is_staff=True, is_active=False)
    assert client.get(page).status_code == 302


def test_a_staff_member_of_no_project_sees_empty_lists(filled: Team, browser: Browser) -> None:
    client = browser(filled.outsider)
    for model in (Prompt, PromptVersion, Head, Membership):
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
        assert client.get(reverse(name)).context["cl"].queryset.count() == 0
