"""No page of the admin changes or deletes a row in place, whoever sends what."""

from typing import Any

from django.contrib import admin
from django.test import Client
from django.urls import reverse

from accounts.models import Membership, User
from prompts.models import Draft, Prompt, PromptVersion
from tests.admin.conftest import Browser, snapshot
from tests.personas import Team

CHANGES: dict[str, Any] = {
    "content": "other",
    "source": "other",
    "digest": "other",
    "number": "9",
    "revision": "9",
    "reason": "other",
    "name": "other",
    "roles": ["admin"],
    "policy": "",
    "version": "1",
    "next_number": "9",
    "generation": "9",
    "data": "{}",
    "is_superuser": "on",
    "_save": "Save",
}


def inline(prefix: str, pk: int) -> dict[str, Any]:
    return {
        f"{prefix}-TOTAL_FORMS": "1",
        f"{prefix}-INITIAL_FORMS": "1",
        f"{prefix}-0-id": str(pk),
        f"{prefix}-0-revision": "9",
        f"{prefix}-0-DELETE": "on",
    }


def attack(client: Client, inlines: dict[str, Any]) -> set[int]:
    """Post to every address that could change or delete a row, and tell the answers' statuses."""
    statuses = set()
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        for row in list(model._default_manager.all()[:3]):
            for word in ("change", "delete", "history"):
                page = reverse(f"{name}_{word}", args=[row.pk])
                statuses.add(client.post(page, CHANGES | inlines | {"post": "yes"}).status_code)
        keys = [row.pk for row in model._default_manager.all()]
        for action in ("delete_selected", ""):
            asked = {"action": action, "_selected_action": keys, "post": "yes", "index": "0", "select_across": "1"}
            statuses.add(client.post(reverse(f"{name}_changelist"), asked).status_code)
        listed = {"form-TOTAL_FORMS": "1", "form-INITIAL_FORMS": "1", "form-0-id": str(keys[0]), "_save": "Save"}
        statuses.add(client.post(reverse(f"{name}_changelist"), listed | {"form-0-name": "other"}).status_code)
    return statuses


def test_no_post_changes_or_deletes_a_row(filled: Team, root: User, browser: Browser) -> None:
    User.objects.filter(pk=filled.emil.user.pk).update(is_staff=True)
    prompt = Prompt.objects.get(name="shop/greeting")
    inlines = inline("heads", prompt.heads.get().pk) | inline("channel_set", filled.stable.pk)
    clients = [browser(root), browser(filled.emil.user)]
    before = snapshot()
    for client in clients:
        assert attack(client, inlines) <= {200, 302, 403, 404, 405}
        assert snapshot() == before


def test_a_former_state_is_not_brought_back(filled: Team, root: User, browser: Browser) -> None:
    member, prompt = Membership.objects.get(user=filled.ada.user), Prompt.objects.get(name="shop/greeting")
    clients = [browser(root), browser(filled.emil.user)]
    before = snapshot()
    for client in clients:
        for row, name in ((member, "accounts_membership"), (prompt, "prompts_prompt")):
            former = row.history.last()
            page = reverse(f"admin:{name}_simple_history", args=[row.pk, former.pk])
            assert client.get(page).status_code == 200
            assert client.post(page, CHANGES).status_code == 403
    assert snapshot() == before


def test_what_is_never_made_by_hand_has_no_page_for_it(filled: Team, root: User, browser: Browser) -> None:
    client = browser(root)
    before = snapshot()
    for model, pages in admin.site._registry.items():
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        if pages.add_form is None:  # type: ignore[attr-defined]
            assert client.get(reverse(f"{name}_add")).status_code == 403, name
            assert client.post(reverse(f"{name}_add"), CHANGES).status_code == 403, name
    assert snapshot() == before
    assert {PromptVersion, Draft} <= {m for m, pages in admin.site._registry.items() if pages.add_form is None}  # type: ignore[attr-defined]
