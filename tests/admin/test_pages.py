"""Every page of the admin: that it is there, what it costs, and that it runs under the strict policy for content."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.contrib import admin
from django.db import connection, models, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import Membership, User
from events.admin.seen import ProjectFilter
from prompts.models import Draft, Prompt, PromptVersion
from tests.admin.conftest import Browser, hook
from tests.personas import Team

EXPECTED = """
accounts: apikey breakglassgrant membership project rolegroup user
events: delivery event eventseal letter servedchange serving webhookendpoint
prompts: channel channelpolicy check draft freezewindow head policychange promotion prompt promptversion ratification
prompts: release review reviewdismissal schedule
"""


def names() -> Iterator[tuple[type[models.Model], str]]:
    for model in admin.site._registry:
        yield model, f"admin:{model._meta.app_label}_{model._meta.model_name}"


def test_every_model_is_there_and_nothing_else() -> None:
    wanted = {
        f"{line.split(':')[0]}.{name}" for line in EXPECTED.strip().splitlines() for name in line.split(":")[1].split()
    }
    assert {model._meta.label_lower for model in admin.site._registry} == wanted


def test_a_superuser_opens_every_page(filled: Team, root: User, browser: Browser) -> None:
    client = browser(root)
    assert client.get(reverse("admin:index")).status_code == 200
    for model, name in names():
        answer = client.get(reverse(f"{name}_changelist"))
        assert answer.status_code == 200, name
        rows = list(model._default_manager.all()[:3])
        assert rows, f"{name} is empty: fill it, or this test shows nothing"
        for row in rows:
            page = reverse(f"{name}_change", args=[row.pk])
            answer = client.get(page)
            assert answer.status_code == 200, page
            assert b'name="_save"' not in answer.content, page
            assert b"deletelink" not in answer.content, page
            assert client.get(reverse(f"{name}_history", args=[row.pk])).status_code == 200
        by_project = ProjectFilter in admin.site._registry[model].list_filter
        queries = ["?q=greeting", "?o=1", "?_facets=True", *([f"?project={filled.project.pk}"] if by_project else [])]
        for query in queries:
            assert client.get(reverse(f"{name}_changelist") + query, follow=True).status_code == 200, (name, query)


def test_every_verb_has_a_page(filled: Team, root: User, browser: Browser) -> None:
    client = browser(root)
    seen = 0
    for model, name in names():
        pages = admin.site._registry[model]
        if pages.add_form is not None:  # type: ignore[attr-defined]
            assert client.get(reverse(f"{name}_add")).status_code == 200
            seen += 1
        for verb in pages.verbs:  # type: ignore[attr-defined]
            row = model._default_manager.first()
            assert row is not None
            assert client.get(reverse(f"{name}_{verb.word}", args=[row.pk])).status_code == 200
            seen += 1
    assert seen == 5 + 1 + 1 + 2 + 1 + 1 + 2 + 3 + 7 + 3


@contextmanager
def counted() -> Iterator[CaptureQueriesContext]:
    with CaptureQueriesContext(connection) as queries:
        yield queries


def test_lists_cost_the_same_for_five_rows_and_for_fifty(filled: Team, root: User, browser: Browser) -> None:
    for person in (root, filled.farah.user):
        client = browser(person)
        before = {name: cost(client, name) for _, name in names()}
        grow(filled, person)
        for model, name in names():
            after = cost(client, name)
            rows = model._default_manager.count()
            assert after <= before[name], f"{name} with {rows} rows: {before[name]} queries became {after}"


def cost(client: Client, name: str) -> int:
    client.get(reverse(f"{name}_changelist"))
    with counted() as queries:
        assert client.get(reverse(f"{name}_changelist")).status_code == 200
    return len(queries)


@transaction.atomic
def grow(team: Team, person: User) -> None:
    """Fifty rows more, of everything that becomes many."""
    from accounts.actions.members import create_user, set_roles
    from prompts.actions.releases import promote

    for number in range(50):
        prompt = team.prompt(f"more/of-{person.pk}-{number}")
        promote(by=team.cleo, prompt=prompt, channel=team.stable, version=team.version(prompt, 1))
        user = create_user(email=f"p{person.pk}-{number}@example.com")
        set_roles(project=team.project, user=user, roles=["viewer"], by=None)
        Draft.objects.create(prompt=prompt, user=person, source="x")
        hook(team, person.pk)
    assert PromptVersion.objects.count() >= 50


@pytest.mark.parametrize(
    "page", ["history", "former", "verb", "prompt", "list", "version", "key", "promotion", "review"]
)
def test_pages_run_under_the_strict_policy(filled: Team, browser: Browser, page: str) -> None:
    client = browser(filled.farah.user)
    prompt = Prompt.objects.get(name="shop/greeting")
    membership = Membership.objects.get(user=filled.ada.user)
    former = membership.history.first()
    where = {
        "history": reverse("admin:accounts_membership_history", args=[membership.pk]),
        "former": reverse("admin:accounts_membership_simple_history", args=[membership.pk, former.pk]),
        "verb": reverse("admin:prompts_prompt_save", args=[prompt.pk]),
        "prompt": reverse("admin:prompts_prompt_change", args=[prompt.pk]),
        "list": reverse("admin:prompts_prompt_changelist"),
        "version": reverse("admin:prompts_promptversion_change", args=[prompt.versions.get(number=2).pk]),
        "key": reverse("admin:accounts_apikey_add"),
        "promotion": reverse("admin:prompts_promotion_change", args=[prompt.promotions.get().pk]),
        "review": reverse("admin:prompts_promotion_review", args=[prompt.promotions.get().pk]),
    }[page]
    asked = {"project": filled.project.pk, "name": "k", "scopes": ["prompts:read"]}
    answer = client.post(where, asked) if page == "key" else client.get(where)
    assert answer.status_code == 200
    policy = answer["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    text = answer.content.decode()
    assert not re.search(r"\sstyle=|\son[a-z]+=|<style|javascript:", text)
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", text) if "application/json" not in tag)


def test_texts_are_shown_as_they_are_and_never_as_markup(team: Team, browser: Browser) -> None:
    prompt = team.prompt(content="  <b>bold</b>\n\n  end ")
    page = reverse("admin:prompts_promptversion_change", args=[team.version(prompt, 1).pk])
    text = browser(team.noor.user).get(page).content.decode()
    assert '<pre class="written" tabindex="0" dir="auto">\n  &lt;b&gt;bold&lt;/b&gt;\n\n  end </pre>' in text
    assert f"sha256:{bytes(team.version(prompt, 1).digest).hex()}" in text


def test_the_prompt_links_to_its_rows(filled: Team, browser: Browser) -> None:
    prompt = Prompt.objects.get(name="shop/greeting")
    client = browser(filled.ada.user)
    text = client.get(reverse("admin:prompts_prompt_change", args=[prompt.pk])).content.decode()
    links = dict(re.findall(r'<li><a href="([^"]+)">(Versions|Releases|Events|History)</a></li>', text))
    assert sorted(links.values()) == ["Events", "History", "Releases", "Versions"]
    for link in links:
        assert client.get(link.replace("&amp;", "&")).status_code == 200
