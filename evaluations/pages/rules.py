"""Gate rules: which evaluation each channel demands, adding a demand, and taking one away by two people."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from accounts.pages.settings import ActingPage, whole
from accounts.roles import Permission
from evaluations.actions.rules import (
    DEFAULT_MARGIN,
    LARGEST_MARGIN,
    MOST_REPEATS,
    add_rule,
    agree_to_removal,
    remove_rule,
)
from evaluations.models import EvaluationRule, ModelConnection
from evaluations.rule_reading import find_demanded, find_rule, visible_rules
from evaluations.run_reading import find_connection_named
from evaluations.set_reading import visible_sets
from promptforge.lib.errors import about, wrong
from prompts.models import Channel
from prompts.reading import find_channel, find_prompt

MOST_NAMED = 200
_POINTS = 100


class RulesPage(ActingPage):
    section = "settings_rules"
    needs = Permission.CONFIGURE

    def get(self, request: HttpRequest) -> HttpResponse:
        rules = list(visible_rules(self.principal).order_by("channel__position", "channel_id", "pk"))
        return self.draw(
            "evaluations/set_rules.html",
            {"groups": _by_channel(rules), "count": len(rules), **(self._form() if self.may_change else {})},
        )

    def _form(self) -> dict[str, Any]:
        if self.act == "add":
            project = self.principal.project
            return {
                "channels": Channel.objects.filter(project=project).order_by("position", "pk"),
                "sets": visible_sets(self.principal).filter(archived_at=None).order_by("name")[:MOST_NAMED],
                "connections": ModelConnection.objects.standing().filter(project=project).order_by("name"),
                "filled": self.given,
                "usual_margin": f"{DEFAULT_MARGIN * _POINTS:g}",
                "most_margin": f"{LARGEST_MARGIN * _POINTS:g}",
                "most_repeats": MOST_REPEATS,
            }
        if self.act in ("remove", "agree"):
            return {"chosen": find_rule(self.principal, self.given.get("rule", ""))}
        return {}

    def add(self) -> HttpResponse:
        sent = self.request.POST
        with about("channel"):
            channel = find_channel(self.principal, _chosen(sent.get("channel", ""), "channel", "a channel"))
        with about("set"):
            owner = find_demanded(self.principal, _chosen(sent.get("set", ""), "set", "a set"))
        with about("connection"):
            model = find_connection_named(self.principal, _chosen(sent.get("connection", ""), "connection", "a model"))
        prompt, judge = sent.get("prompt", "").strip(), sent.get("judge", "")
        with about("prompt"):
            found = find_prompt(self.principal, prompt, self.needs) if prompt else None
        rule = add_rule(
            by=self.principal,
            channel=channel,
            evaluation_set=owner,
            connection=model,
            prompt=found,
            judge=find_connection_named(self.principal, judge) if judge else None,
            margin=whole(sent, "margin", 1, round(LARGEST_MARGIN * _POINTS)) / _POINTS,
            repeats=whole(sent, "repeats", 1, MOST_REPEATS) if sent.get("repeats", "").strip() else None,
        )
        return self._back(
            f"{rule.channel} demands that {rule.set} passes.", "It holds at once, for open promotions too."
        )

    def remove(self) -> HttpResponse:
        rule = remove_rule(by=self.principal, rule=self._rule())
        if rule.removed_at is None:
            return self._back(
                "You ask that the rule is taken away.", "It stands until a second person agrees. Nothing changed yet."
            )
        return self._back(f"{rule.set} is demanded no more.", "It holds at once.")

    def agree(self) -> HttpResponse:
        rule = agree_to_removal(by=self.principal, rule=self._rule())
        return self._back(f"{rule.set} is demanded no more.", "Both of you stand in the audit trail.")

    def _rule(self) -> EvaluationRule:
        return find_rule(self.principal, self.request.POST.get("rule", ""))

    def _back(self, sentence: str, then: str) -> HttpResponse:
        here = reverse("settings_rules", args=(self.principal.project.name,))
        return self.done(here, sentence[:1].upper() + sentence[1:], then)

    acts = {"add": add, "remove": remove, "agree": agree}


def _chosen(text: str, field: str, what: str) -> str:
    if not text:
        raise wrong(field, f"Choose {what}.", "field_required")
    return text


def _by_channel(rules: list[EvaluationRule]) -> list[tuple[Channel, list[dict[str, Any]]]]:
    groups: dict[int, tuple[Channel, list[dict[str, Any]]]] = {}
    for rule in rules:
        told = {"rule": rule, "points": f"{rule.margin * _POINTS:g}"}
        groups.setdefault(rule.channel_id, (rule.channel, []))[1].append(told)
    return list(groups.values())
