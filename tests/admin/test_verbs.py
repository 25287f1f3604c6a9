"""What is done through the admin: by one action each, with the same refusals as through every other door."""

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.actions.api_keys import recognise_key
from accounts.models import ApiKey, BreakGlassGrant, Membership, Project, User
from accounts.policies import holds
from accounts.roles import Permission
from events.models import Event
from promptforge.lib.errors import DomainError
from prompts.actions.releases import promote
from prompts.models import Channel, Head, Prompt, PromptVersion, Release
from prompts.verification import verify
from tests.admin.conftest import Browser, snapshot
from tests.personas import Team


def errors_of(answer: Any) -> list[str]:
    """The sentences that the page shows as errors; its form was not accepted."""
    assert answer.status_code == 200, answer.status_code
    return [sentence for sentences in answer.context["form"].errors.values() for sentence in sentences]


def save(client: Client, prompt: Prompt, **fields: Any) -> Any:
    fields = {"content": "New", "config": "{}", "variables": "[]", "base_version": 1} | fields
    return client.post(reverse("admin:prompts_prompt_save", args=[prompt.pk]), fields)


def move(client: Client, word: str, prompt: Prompt, **fields: Any) -> Any:
    head = Head.objects.get(prompt=prompt, channel__name="stable")
    fields = {"version": "", "reason": "Because it is so.", "expected_revision": head.revision} | fields
    return client.post(reverse(f"admin:prompts_head_{word}", args=[head.pk]), fields)


# --- Versions
def test_a_version_is_saved_byte_for_byte(team: Team, browser: Browser) -> None:
    prompt = team.prompt()
    typed = "  Zwei\r\n\r\n Zeilen\rund \u200b<b>&amp;  \r\n"
    answer = save(browser(team.ada.user), prompt, content=typed, message=" Because ", variables="")
    version = prompt.versions.get(number=2)
    assert answer["Location"] == reverse("admin:prompts_promptversion_change", args=[version.pk])
    # Of a browser's line ends exactly CR LF becomes LF; a lone CR stays, and so does every blank.
    assert version.content == "  Zwei\n\n Zeilen\rund \u200b<b>&amp;  \n"
    assert version.message == " Because "
    assert (version.author, version.config) == (team.ada.user, "{}")
    assert Event.objects.filter(kind="version.saved", subject_id=version.pk, actor_id=team.ada.user.pk).count() == 1


def test_the_form_shows_the_newest_version_and_saving_it_unchanged_makes_none(team: Team, browser: Browser) -> None:
    config = {"z": 1.0, "a": {"model": "x", "temperature": 0.10}, "n": 12345678901234567890}
    declared = [{"name": "customer_name", "type": "string", "description": "Who <asks>"}]
    prompt = team.prompt(content="\n Hello {{customer_name}}\n", config=config, variables=declared)
    client = browser(team.ada.user)
    form = client.get(reverse("admin:prompts_prompt_save", args=[prompt.pk])).context["form"]
    shown = {name: form[name].value() for name in form.fields}
    assert shown["content"] == "\n Hello {{customer_name}}\n"
    posted = {name: str(value).replace("\n", "\r\n") for name, value in shown.items() if value is not None}
    answer = client.post(reverse("admin:prompts_prompt_save", args=[prompt.pk]), posted, follow=True)
    assert "holds exactly this already" in answer.content.decode()
    assert prompt.versions.count() == 1


def test_a_declaration_falls_away_with_its_variable_and_config_stays(team: Team, browser: Browser) -> None:
    prompt = team.prompt(config={"b": 1, "a": 2})
    client = browser(team.ada.user)
    form = client.get(reverse("admin:prompts_prompt_save", args=[prompt.pk])).context["form"]
    save(client, prompt, content="For {{who}}", config="", variables=form["variables"].value())
    version = prompt.versions.get(number=2)
    assert [declared["name"] for declared in version.variable_list] == ["who"]
    assert version.config == '{"b":1,"a":2}'


def test_the_order_of_keys_makes_a_version(team: Team, browser: Browser) -> None:
    prompt = team.prompt(content="Hello", config={"a": 1, "b": 2})
    save(browser(team.ada.user), prompt, content="Hello", config='{"b": 2,\r\n "a": 1}')
    assert prompt.versions.get(number=2).config == '{"b":2,"a":1}'


def test_a_chat_is_saved_as_json(team: Team, browser: Browser) -> None:
    prompt = team.prompt(content=[{"role": "user", "content": "Hi"}])
    client = browser(team.ada.user)
    save(client, prompt, content='[{"role": "system",\r\n "content": "Line\\r\\nline"}]')
    assert prompt.versions.get(number=2).served_content == [{"role": "system", "content": "Line\r\nline"}]
    assert errors_of(save(client, prompt, content='[{"role": "boss", "content": "x"}]', base_version=2))
    page = reverse("admin:prompts_promptversion_change", args=[prompt.versions.get(number=2).pk])
    assert "<strong>system</strong>" in client.get(page).content.decode()


def test_a_version_is_refused_with_the_actions_sentence_and_nothing_is_written(
    team: Team, root: User, browser: Browser
) -> None:
    prompt = team.prompt()
    ada, noor, boss = browser(team.ada.user), browser(team.noor.user), browser(root)
    save(ada, prompt)
    before = snapshot()
    stale = "Version 2 came after 1, which you began with. Compare them, and save on top of 2."
    not_yours = "Your role in shop does not let you save versions."
    assert errors_of(save(ada, prompt, content="Else")) == [stale]
    assert errors_of(save(noor, prompt, base_version=2)) == [not_yours]
    assert errors_of(save(boss, prompt, base_version=2)) == [not_yours]
    for wrong in ({"config": "[]"}, {"config": '{"a": 1, "a": 2}'}, {"config": "{"}, {"variables": "{}"}):
        assert errors_of(save(ada, prompt, base_version=2, **wrong)), wrong
    long = {"base_version": 2, "message": "x" * 2_001}
    assert errors_of(save(ada, prompt, **long)) == ["Ensure this value has at most 2000 characters (it has 2001)."]
    for wrong in ({"content": "{{ open"}, {"content": ""}, {"content": "nul \x00"}, {"base_version": ""}):
        assert errors_of(save(ada, prompt, **({"base_version": 2} | wrong))), wrong
    assert snapshot() == before


def test_a_prompt_is_made_with_its_first_version(team: Team, root: User, browser: Browser) -> None:
    page = reverse("admin:prompts_prompt_add")
    asked = {"project": team.project.pk, "name": "a/b", "type": "text", "content": "Hi\r\n", "tags": "x, y"}
    for person in (root, team.farah.user):
        User.objects.filter(pk=person.pk).update(is_staff=True)
    assert errors_of(browser(root).post(page, asked)) == ["Your role in shop does not let you save versions."]
    assert browser(team.noor.user).post(page, asked).status_code == 403
    client = browser(team.ada.user)
    assert errors_of(client.post(page, asked | {"name": "/no"}))[0].startswith("/no is no prompt name")
    assert errors_of(client.post(page, asked | {"type": "chat"}))
    long = errors_of(client.post(page, asked | {"tags": f"x, {'y' * 51}"}))
    assert long == [f"The tag {'y' * 51} has 51 characters; at most 50 are kept. Shorten it."]
    many = errors_of(client.post(page, asked | {"tags": ",".join(map(str, range(51)))}))
    assert many == ["51 tags are given; at most 50 are kept. Leave some out."]
    assert not Prompt.objects.exists()
    client.post(page, asked)
    prompt = Prompt.objects.get(name="a/b")
    assert (prompt.tags, prompt.versions.get().content) == (["x", "y"], "Hi\n")
    taken = "The name is taken already. Names are compared without regard to case."
    assert errors_of(client.post(page, asked | {"name": "A/B"})) == [taken]
    chat = {"name": "chat", "type": "chat", "content": '[{"role": "user", "content": "Hi"}]'}
    client.post(page, asked | chat)
    assert Prompt.objects.get(name="chat").versions.get().served_content == [{"role": "user", "content": "Hi"}]


# --- Channels
def test_a_channel_is_promoted_and_rolled_back(team: Team, browser: Browser) -> None:
    prompt, client = team.prompt(versions=3), browser(team.cleo.user)
    for number in (1, 3):
        answer = move(client, "promote", prompt, version=number, reason=" Better.\r\nMuch. ")
        assert answer.status_code == 302
    answer = move(client, "rollback", prompt, reason="Worse.", follow=True)
    rows = Release.objects.filter(prompt=prompt).order_by("revision")
    assert [(row.kind, row.version.number, row.reason, row.actor) for row in rows] == [
        ("promote", 1, " Better.\nMuch. ", team.cleo.user),
        ("promote", 3, " Better.\nMuch. ", team.cleo.user),
        ("rollback", 1, "Worse.", team.cleo.user),
    ]
    move(client, "rollback", prompt, version=3, reason="Not worse.")
    assert [finding.line for finding in verify(team.project) if finding.broken] == []


def test_a_move_is_refused_with_the_actions_sentence_and_nothing_is_written(
    team: Team, root: User, browser: Browser
) -> None:
    prompt = team.prompt(versions=2)
    promote(by=team.cleo, prompt=prompt, channel=team.stable, version=team.version(prompt, 1))
    cleo, ada, boss = browser(team.cleo.user), browser(team.ada.user), browser(root)
    before = snapshot()
    stale = "stable of support/greeting stands at revision 1, not 0. Look at it and decide again."
    assert errors_of(move(cleo, "rollback", prompt, reason="  ")) == ["Say why you roll back; one sentence is enough."]
    assert errors_of(move(cleo, "promote", prompt, version=2, expected_revision=0)) == [stale]
    assert errors_of(move(cleo, "rollback", prompt, expected_revision=0)) == [stale]
    assert errors_of(move(cleo, "promote", prompt, version=1)) == ["support/greeting@1 is live on stable already."]
    assert errors_of(move(cleo, "promote", prompt, version=7)) == ["support/greeting has no version 7."]
    assert errors_of(move(cleo, "promote", prompt, version="")) == ["This field is required."]
    assert errors_of(move(cleo, "rollback", prompt, version=2)) == [
        "A rollback returns to another version that was live here before."
    ]
    assert "at most 2000" in errors_of(move(cleo, "promote", prompt, version=2, reason="x" * 2_001))[0]
    assert errors_of(move(cleo, "break-glass", prompt, version=2, reason="short"))[0].startswith("Say in at least 20")
    assert errors_of(move(cleo, "break-glass", prompt, version=2, reason="A reason of more than twenty characters."))
    for client in (ada, boss):
        assert errors_of(move(client, "promote", prompt, version=2)) == [
            "Your role in shop does not let you release and roll back."
        ]
        assert errors_of(move(client, "rollback", prompt)) == [
            "Your role in shop does not let you release and roll back."
        ]
    assert errors_of(move(boss, "break-glass", prompt, version=2)) == ["Your role in shop does not let you read here."]
    assert snapshot() == before


def test_a_protected_channel_takes_no_direct_release(careful_team: Team, browser: Browser) -> None:
    prompt = careful_team.prompt()
    answer = move(browser(careful_team.cleo.user), "promote", prompt, version=1)
    assert errors_of(answer)[0].startswith("stable is protected: it takes no direct releases.")
    assert not Release.objects.exists()


def test_glass_is_broken_with_a_right_that_somebody_gave(careful_team: Team, browser: Browser) -> None:
    prompt, cleo = careful_team.prompt(), browser(careful_team.cleo.user)
    asked = {"project": careful_team.project.pk, "email": "CLEO@shop.example", "minutes": 10}
    page = reverse("admin:accounts_breakglassgrant_add")
    own = browser(careful_team.farah.user).post(page, asked | {"email": "farah@shop.example"})
    assert errors_of(own)[0].startswith("Nobody gives themselves")
    assert errors_of(browser(careful_team.farah.user).post(page, asked | {"email": "oda@shop.example"}))
    assert not BreakGlassGrant.objects.exists()
    assert browser(careful_team.farah.user).post(page, asked).status_code == 302
    assert move(cleo, "break-glass", prompt, version=1, reason="The shop says nothing at all.").status_code == 302
    assert Release.objects.get().kind == "break_glass"


# --- People, keys, projects
def test_a_member_is_added_changed_and_removed(team: Team, root: User, browser: Browser) -> None:
    client, add = browser(team.farah.user), reverse("admin:accounts_membership_add")
    asked = {"project": team.project.pk, "email": "ODA@shop.example", "roles": ["viewer"]}
    assert errors_of(browser(root).post(add, asked)) == ["Your role in shop does not let you manage members and keys."]
    assert errors_of(client.post(add, asked | {"email": "x@y.example"})) == [
        "There is no person with the address x@y.example."
    ]
    assert client.post(add, asked).status_code == 302
    member = Membership.objects.get(user=team.outsider)
    client.post(reverse("admin:accounts_membership_roles", args=[member.pk]), {"roles": ["editor", "reviewer"]})
    member.refresh_from_db()
    assert member.roles == ["editor", "reviewer"]
    assert holds(team.outsider, Permission.EDIT, team.project)
    assert [entry.history_user for entry in member.history.all()] == [team.farah.user, team.farah.user]
    history = client.get(reverse("admin:accounts_membership_history", args=[member.pk])).content.decode()
    assert "editor" in history
    assert "Farah" in history
    page = reverse("admin:accounts_membership_remove", args=[member.pk])
    for person in (root, team.outsider):
        answer = browser(person).post(page)
        assert errors_of(answer) == ["Your role in shop does not let you manage members and keys."]
    assert browser(team.cleo.user).post(page).status_code == 404
    browser(team.farah.user).post(page)
    assert not Membership.objects.filter(user=team.outsider).exists()


def test_a_key_is_shown_once_and_revoked(team: Team, root: User, browser: Browser) -> None:
    client, add = browser(team.farah.user), reverse("admin:accounts_apikey_add")
    asked = {"project": team.project.pk, "name": "web", "scopes": ["prompts:read"], "channels": "stable, latest"}
    assert errors_of(browser(root).post(add, asked)) == ["Your role in shop does not let you manage members and keys."]
    assert errors_of(client.post(add, asked | {"expires_at": "2001-01-01"}))
    assert errors_of(client.post(add, asked | {"channels": "Not!"}))
    assert not ApiKey.objects.exists()
    answer = client.post(add, asked | {"prompts": "support/*\r\nshop/*"})
    text = re.search(r'id="key" tabindex="0">(pf_[^<]+)<', answer.content.decode())
    assert text is not None
    key = recognise_key(text.group(1))
    assert (key.channels, key.prompts, key.created_by) == (
        ["stable", "latest"],
        ["support/*", "shop/*"],
        team.farah.user,
    )
    assert "no-store" in answer["Cache-Control"]
    page = reverse("admin:accounts_apikey_change", args=[key.pk])
    assert text.group(1) not in client.get(page).content.decode()
    client.post(reverse("admin:accounts_apikey_revoke", args=[key.pk]))
    with pytest.raises(DomainError) as refusal:
        recognise_key(text.group(1))
    assert refusal.value.code == "key_revoked"


def test_only_a_superuser_adds_people_projects_and_sets_passwords(team: Team, root: User, browser: Browser) -> None:
    boss, emil = browser(root), browser(team.emil.user)
    people, projects = reverse("admin:accounts_user_add"), reverse("admin:accounts_project_add")
    asked = {"email": "ida@shop.example", "name": "Ida", "password": "a long enough word"}
    assert emil.post(people, asked).status_code == 403
    assert emil.post(projects, {"name": "new", "preset": "solo"}).status_code == 403
    assert errors_of(boss.post(people, asked | {"password": "short"}))
    assert errors_of(boss.post(people, asked | {"email": "ADA@shop.example"}))
    assert not User.objects.filter(email="ida@shop.example").exists()
    assert boss.post(people, asked).status_code == 302
    ida = User.objects.get(email="ida@shop.example")
    assert (ida.is_staff, ida.is_superuser, ida.check_password("a long enough word")) == (False, False, True)
    page = reverse("admin:accounts_user_password", args=[ida.pk])
    assert boss.post(page, {"password": "another long word"}).status_code == 302
    ida.refresh_from_db()
    assert ida.check_password("another long word")
    own = reverse("admin:accounts_user_password", args=[team.emil.user.pk])
    assert errors_of(emil.post(own, {"password": "another long word"}))
    assert errors_of(boss.post(projects, {"name": "Not This", "preset": "solo"}))
    assert errors_of(boss.post(projects, {"name": "shop", "preset": "solo"}))
    assert boss.post(projects, {"name": "new", "preset": "solo"}).status_code == 302
    assert Channel.objects.get(project__name="new").policy is not None


def test_a_channel_is_added_by_who_may_configure(team: Team, root: User, browser: Browser) -> None:
    page = reverse("admin:accounts_project_channel", args=[team.project.pk])
    for client in (browser(root), browser(team.ada.user)):
        assert errors_of(client.post(page, {"name": "beta", "preset": "solo"})) == [
            "Your role in shop does not let you change channels and policies."
        ]
    client = browser(team.cleo.user)
    assert errors_of(client.post(page, {"name": "latest", "preset": "solo"}))
    assert Project.objects.get().channel_set.count() == 1
    assert client.post(page, {"name": "beta", "preset": "solo"}).status_code == 302
    assert Channel.objects.get(name="beta").project == team.project


def test_rights_on_one_prompt_are_given_and_taken_back(team: Team, root: User, browser: Browser) -> None:
    prompt, other = team.prompt(), team.prompt("other")
    page = reverse("admin:prompts_prompt_rights", args=[prompt.pk])
    asked = {"who": f"user {team.noor.user.pk}", "rights": ["edit", "release"]}
    for client in (browser(root), browser(team.cleo.user)):
        assert errors_of(client.post(page, asked)) == ["Your role in shop does not let you manage members and keys."]
    client = browser(team.farah.user)
    assert errors_of(client.post(page, asked | {"rights": ["administer"]}))
    assert errors_of(client.post(page, asked | {"who": f"user {team.outsider.pk}"}))
    assert not holds(team.noor.user, Permission.EDIT, team.project, prompt)
    assert client.post(page, asked).status_code == 302
    assert holds(team.noor.user, Permission.EDIT, team.project, prompt)
    assert not holds(team.noor.user, Permission.EDIT, team.project, other)
    assert save(browser(team.noor.user), prompt).status_code == 302
    client.post(page, asked | {"rights": []})
    assert not holds(team.noor.user, Permission.EDIT, team.project, prompt)
    assert PromptVersion.objects.filter(prompt=prompt).count() == 2
