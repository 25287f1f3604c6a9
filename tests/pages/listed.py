"""Every page that is shown, once: what the tests of all pages and the screenshots go through. A new page adds a row."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta

from django.utils import timezone

from accounts.actions.api_keys import create_key
from accounts.actions.webhooks import check_webhook, create_webhook
from accounts.models import ApiKey
from delivery.actions.observations import read_observations, store_observations
from delivery.intake import Reach
from evaluations.actions.connections import create_connection
from evaluations.actions.rules import add_rule
from evaluations.actions.sets import add_case, create_set, remove_case
from evaluations.actions.staging import stage_file
from evaluations.actions.trials import try_draft
from evaluations.models import EvaluationSet, Trial
from evaluations.running.engine import work
from events.models import Delivery, DeliveryAttempt, WebhookEndpoint
from promptforge.lib.ids import encode
from prompts.actions.channels import change_policy, freeze_channel
from prompts.actions.drafts import keep_draft, keep_sample
from prompts.demo.loader import moment
from prompts.models import Channel, PolicyChange, Promotion, Prompt
from prompts.pages.lint import look_at
from prompts.pages.typed import Typed
from prompts.reading import find_version
from tests.pages.conftest import Demo
from tests.pages.drifting import asked_for_a_reference, drifted
from tests.pages.evaluated import asking, connected, evaluated, run_address


@dataclass(frozen=True)
class Shown:
    """`person` is who looks ("" is nobody); a path that needs an id is a function of the demo."""

    name: str
    person: str
    path: str | Callable[[Demo], str]
    widths: tuple[int, ...] = (390, 1280)

    def address(self, demo: Demo) -> str:
        return self.path if isinstance(self.path, str) else self.path(demo)


def tuesday() -> str:
    """10:00 on the newest Tuesday of the demo's story, as an address asks for it."""
    return f"date={moment('-1 Tue 10:00', today=date.today()):%Y-%m-%d}&time=10:00"


def reported(demo: Demo) -> str:
    """The reference of an answer that a service of the demo reported."""
    key = create_key(
        project=demo.project,
        name="checkout-web",
        scopes=["observations:write"],
        responsible=demo.people["emil"],
        by=None,
    )
    row = ApiKey.objects.get(public_id=key.text.split("_")[2])
    observation = {
        "id": "0198c0de-1111-7000-8000-00000000a11c",
        "prompt": "support/refund-answer",
        "version": 8,
        "channel": "stable",
        "user": "customer-48213",
        "trace_id": "trace-77",
        "input": [{"role": "user", "content": "Both my orders came broken. Refund them please."}],
        "output": "I’m so sorry about both orders. They qualify for a refund; could you send me a photo of each?",
        "model": "small-chat-4",
        "latency_ms": 812,
    }
    body = json.dumps({"observations": [observation]}).encode()
    batch = read_observations(body=body, reach=Reach(demo.project.pk, row.pk, row.reaches_prompt))
    assert batch.rejected == []
    store_observations(rows=batch.rows)
    return str(observation["id"])


def drafted(demo: Demo) -> str:
    """The editor with a draft that has an unknown variable, and sample values."""
    ada, prompt = demo.principal("ada"), Prompt.objects.get(name="support/order-status")
    newest = find_version(prompt, None)
    typed = Typed.of_version(newest)
    first, *rest = typed.texts
    more = f"{first.text}\nIf there are several orders, answer for each: {{{{ order_stats }}}}."
    typed = replace(typed, texts=(replace(first, text=more), *rest), message="Answers for each order")
    keep_draft(by=ada, prompt=prompt, columns=typed.stored(), base=newest, seen=None)
    values = {row.name: f"a {row.name.replace('_', ' ')}" for row in typed.rows[:2]}
    keep_sample(by=ada, prompt=prompt, name="two orders", values=values)
    return "/p/demo/edit/support/order-status/"


OLD_REFUND = (
    "I’m sorry that both orders arrived damaged. They qualify for a refund. Please reply with a photo of each item."
)
NEW_REFUND = (
    "I’m so sorry that both arrived broken. Orders 48213 and 48220 each qualify for a refund. Could you send me one "
    "photo per order?"
)


TRIED_VALUES = {
    "agent_name": "Mia",
    "customer_name": "Ada",
    "refund_days": "30",
    "customer_message": "Both my orders came broken. Refund them please.",
}


def tried(demo: Demo) -> str:
    """The editor with a draft that a model was asked with, beside what is live."""
    address = "/p/demo/edit/support/refund-answer/?connection=support-chat"
    if Trial.objects.exists():
        return address
    ada, prompt = demo.principal("ada"), Prompt.objects.get(name="support/refund-answer")
    newest = find_version(prompt, None)
    typed = Typed.of_version(newest)
    first, *rest = typed.texts
    added = "If there are several orders, answer for each."
    typed = replace(
        typed, texts=(replace(first, text=f"{first.text}\n{added}"), *rest), message="Answers for each order"
    )
    draft = keep_draft(by=ada, prompt=prompt, columns=typed.stored(), base=newest, seen=None)
    seen = look_at(typed, ada)
    values = {name: TRIED_VALUES.get(name, "48213") for name in seen.names}
    keep_sample(by=ada, prompt=prompt, name="two orders", values=values)
    with asking() as provider:
        provider.behave(texts={added: NEW_REFUND, "": OLD_REFUND})
        line = connected(demo, provider, "support-chat")
        try_draft(
            by=ada,
            draft=draft,
            content=seen.content,
            variables=seen.variables,
            config=seen.config,
            values=values,
            connection=line,
        )
        work(60)
    return address


def proposed(demo: Demo) -> bool:
    """Cleo and Farah propose other policies, and a freeze stands: once in each demo."""
    if PolicyChange.objects.exists():
        return True
    stable, farah = Channel.objects.get(project=demo.project, name="stable"), demo.principal("farah")
    change_policy(by=farah, channel=stable, fields={"required_approvals": 2}, reason="Refunds cost money.")
    change_policy(by=demo.principal("cleo"), channel=stable, fields={"approval_ttl_days": 7})
    now = timezone.now()
    freeze_channel(
        by=farah, channel=stable, starts_at=now, ends_at=now + timedelta(days=2), reason="The sale begins on Friday."
    )
    return True


def hooked(demo: Demo) -> str:
    """The id of a webhook of the demo, to which a test and a failure went."""
    endpoint = WebhookEndpoint.objects.first()
    if endpoint is None:
        farah, url = demo.principal("farah"), "https://93.184.215.14/hooks/promptforge"
        kinds = ["release.made", "promotion.opened"]
        made = create_webhook(by=farah, url=url, events=kinds, format="standard", enabled=True, secret=None)
        endpoint = made.endpoint
        for status, outcome in ((200, "Taken."), (500, "It answered 500.")):
            delivery = check_webhook(by=farah, endpoint=endpoint)
            DeliveryAttempt.objects.create(delivery=delivery, status=status, outcome=outcome, milliseconds=84)
            settled = {"next_at": None, "delivered_at": timezone.now() if status == 200 else None}
            Delivery.objects.filter(pk=delivery.pk).update(**settled)
        check_webhook(by=farah, endpoint=endpoint)
    return encode("whk", endpoint.pk)


QUESTIONS = (
    ("two orders", "Both my orders came broken. Refund them please, numbers 48213 and 48220.", True, ["orders"]),
    ("opened kettle", "I opened the kettle and do not like it. Can I send it back?", True, ["refunds"]),
    ("no number", "Where is my parcel?", False, ["orders", "missing"]),
    ("angry", "This is the third time I write. Give me my money now!", False, []),
)


def kept_set(demo: Demo) -> str:
    """The address of an evaluation set of the demo, with cases, criteria and a rule that one person wants away."""
    found = EvaluationSet.objects.filter(project=demo.project, name="Refund questions").first()
    if found is None:
        ada, prompt = demo.principal("ada"), Prompt.objects.get(name="support/refund-answer")
        names = [each["name"] for each in find_version(prompt, None).variable_list]
        cases = [
            {
                "key": key,
                "variables": dict.fromkeys(names, "Mia") | {names[-1]: text},
                "critical": critical,
                "tags": tags,
                "expected": "It says what happens next, and promises no date." if critical else None,
            }
            for key, text, critical, tags in QUESTIONS
        ]
        asked = [
            {"type": "icontains", "value": "refund"},
            {"type": "llm-rubric", "value": "Does it name the next step?"},
            {"type": "length-ratio", "value": None},
            {"type": "regex", "value": "by (Monday|tomorrow)", "not": True},
        ]
        found = create_set(by=ada, name="Refund questions", prompt=prompt, criteria=asked, cases=cases)
        remove_case(by=ada, owner=found, key="angry", message="Nobody writes so any more")
        add_case(by=ada, owner=found, case=cases[2] | {"key": "no number again"}, message="From a stored answer")
        create_set(by=ada, name="Never say this", description="What no prompt of ours may answer.", cases=cases[:1])
        farah = demo.principal("farah")
        model = create_connection(by=farah, name="shop-chat", kind="openai", model="small-chat-4", api_key="sk-demo")
        stable = Channel.objects.get(project=demo.project, name="staging")
        add_rule(by=farah, channel=stable, evaluation_set=found, connection=model)
    return f"/p/demo/evaluations/sets/{encode('set', found.pk)}/"


def staged(demo: Demo) -> str:
    """The import page of that set with Ada's file, of which one row cannot be taken."""
    address = kept_set(demo)
    owner = EvaluationSet.objects.get(project=demo.project, name="Refund questions")
    rows = (
        "customer_message,Answer must say,tags,critical\nWhere is 48213?,the carrier,orders,yes\nWhy so late?,sorry,,"
    )
    body = f"{rows}\nCan I return it?,no,refunds,perhaps\n".encode()
    stage_file(by=demo.principal("ada"), owner=owner, name="questions.csv", body=body)
    return f"{address}import/"


def promotion(reference: str) -> Callable[[Demo], str]:
    """The address of the demo's newest promotion of a version to stable."""
    name, _, number = reference.partition("@")

    def address(demo: Demo) -> str:
        found = Promotion.objects.filter(prompt__project=demo.project, prompt__name=name, version__number=number)
        return f"/p/demo/promotions/{encode('pro', found.latest('pk').pk)}/"

    return address


PAGES = [
    Shown("styleguide", "", "/styleguide/"),
    Shown("start", "", "/"),
    Shown("refusals", "", "/docs/errors"),
    Shown("new-project", "noor", "/projects/new/"),
    Shown("sign-in", "", "/accounts/sign-in/"),
    Shown("password-forgotten", "", "/accounts/password/forgotten/"),
    Shown("account", "ada", "/accounts/"),
    Shown("account-password", "ada", "/accounts/password/"),
    Shown("account-factor", "ada", "/accounts/second-factor/add/"),
    Shown("confirm", "ada", "/accounts/confirm/"),
    Shown("not-found", "ada", "/p/demo/prompts/nothing/here/"),
    Shown("prompts", "ada", "/p/demo/prompts/"),
    Shown("prompts-none", "ada", "/p/demo/prompts/?q=xyzzy"),
    Shown("prompt", "cleo", "/p/demo/prompts/support/greeting/"),
    Shown("prompt-variables", "ada", "/p/demo/prompts/support/order-status/?show=variables"),
    Shown("prompt-config", "ada", "/p/demo/prompts/support/order-status/?show=config"),
    Shown("prompt-use", "ada", "/p/demo/prompts/support/greeting/?show=use"),
    Shown("prompt-activity", "ada", "/p/demo/prompts/support/refund-answer/?show=activity"),
    Shown("roll-back", "cleo", "/p/demo/prompts/support/greeting/?act=roll-back&channel=stable"),
    Shown("new_prompt", "ada", "/p/demo/prompts/new/"),
    Shown("edit", "ada", drafted),
    Shown("edit-tried", "ada", tried),
    Shown("compare", "ada", "/p/demo/compare/support/refund-answer/?from=7&to=8"),
    Shown("compare-beside", "cleo", "/p/demo/compare/support/refund-answer/?from=5&to=8&view=beside&spaces=shown"),
    Shown("inbox", "ben", "/p/demo/"),
    Shown("inbox-editor", "ada", "/p/demo/"),
    Shown("inbox-quiet", "noor", "/p/demo/"),
    Shown("new_promotion", "ada", "/p/demo/promotions/new/?prompt=docs/summariser&version=5&channel=stable"),
    Shown("promotion", "ben", promotion("support/order-status@7"), widths=(320, 390, 1280, 1920)),
    Shown("promotion-ready", "cleo", promotion("docs/return-details@4")),
    Shown("promotion-stale", "emil", promotion("support/triage@7")),
    Shown("promotion-applied", "ben", promotion("support/triage@6")),
    Shown("promotion-schedule", "cleo", lambda demo: f"{promotion('docs/return-details@4')(demo)}?act=schedule"),
    Shown("history", "ada", "/p/demo/history/"),
    Shown("history-answer", "ada", lambda demo: f"/p/demo/history/?{tuesday()}&zone=Europe/Vienna"),
    Shown("history-trail", "farah", "/p/demo/history/?show=trail"),
    Shown("outputs-none", "ada", "/p/demo/outputs/"),
    Shown("outputs", "ben", lambda demo: reported(demo) and "/p/demo/outputs/"),
    Shown("output", "ben", lambda demo: f"/p/demo/outputs/{reported(demo)}/"),
    Shown("output-case", "emil", lambda demo: kept_set(demo) and f"/p/demo/outputs/{reported(demo)}/"),
    Shown("settings", "farah", "/p/demo/settings/"),
    Shown("settings-reader", "noor", "/p/demo/settings/"),
    Shown("settings_members", "farah", "/p/demo/settings/members/"),
    Shown("settings_members-add", "farah", "/p/demo/settings/members/?act=add"),
    Shown("settings_members-reader", "ada", "/p/demo/settings/members/"),
    Shown("settings_channels", "cleo", lambda demo: proposed(demo) and "/p/demo/settings/channels/"),
    Shown("settings_channels-change", "cleo", "/p/demo/settings/channels/?act=change&channel=stable"),
    Shown("settings_channels-freeze", "cleo", "/p/demo/settings/channels/?act=freeze&channel=stable"),
    Shown("settings_channels-reader", "noor", "/p/demo/settings/channels/"),
    Shown("settings_keys", "farah", lambda demo: reported(demo) and "/p/demo/settings/keys/"),
    Shown("settings_keys-make", "farah", "/p/demo/settings/keys/?act=make"),
    Shown("settings_keys-reader", "ada", "/p/demo/settings/keys/"),
    Shown("settings_webhooks", "cleo", lambda demo: hooked(demo) and "/p/demo/settings/webhooks/"),
    Shown("settings_webhooks-add", "cleo", "/p/demo/settings/webhooks/?act=add"),
    Shown("settings_webhooks-log", "cleo", lambda demo: f"/p/demo/settings/webhooks/?act=log&webhook={hooked(demo)}"),
    Shown("settings_notifications", "ada", "/p/demo/settings/notifications/"),
    Shown("evaluations-none", "ada", "/p/demo/evaluations/?prompt=docs/summariser"),
    Shown("evaluations", "ada", lambda demo: kept_set(demo) and "/p/demo/evaluations/"),
    Shown("new_set", "ada", "/p/demo/evaluations/new/?prompt=support/greeting"),
    Shown("evaluation_set", "ada", kept_set),
    Shown("evaluation_set-reader", "noor", kept_set),
    Shown("evaluation_set-case", "ada", lambda demo: f"{kept_set(demo)}?act=change&case=two%20orders"),
    Shown("evaluation_set-kinds", "ada", lambda demo: f"{kept_set(demo)}?act=ask"),
    Shown("evaluation_set-criterion", "ada", lambda demo: f"{kept_set(demo)}?act=ask&type=icontains-any"),
    Shown("import_cases-none", "emil", lambda demo: f"{kept_set(demo)}import/"),
    Shown("import_cases", "ada", staged),
    Shown("settings_rules", "cleo", lambda demo: kept_set(demo) and "/p/demo/settings/rules/"),
    Shown("settings_rules-add", "cleo", lambda demo: kept_set(demo) and "/p/demo/settings/rules/?act=add"),
    Shown("settings_rules-reader", "noor", "/p/demo/settings/rules/"),
    Shown("settings_models", "cleo", lambda demo: kept_set(demo) and "/p/demo/settings/models/"),
    Shown("settings_models-add", "cleo", "/p/demo/settings/models/?act=add"),
    Shown("settings_models-reader", "noor", "/p/demo/settings/models/"),
    Shown("drift", "farah", drifted, (360, 390, 1280)),
    Shown("drift-reference", "farah", asked_for_a_reference),
    Shown("runs", "ben", lambda demo: evaluated(demo, "FAIL") and "/p/demo/evaluations/runs/"),
    Shown("run", "ben", run_address("FAIL"), widths=(390, 1280)),
    Shown("run-passed", "emil", run_address("PASS")),
    Shown("run-open", "emil", run_address("INCONCLUSIVE")),
    Shown("run-paused", "emil", run_address("paused")),
    Shown("new_run-which", "emil", "/p/demo/evaluations/runs/new/"),
    Shown(
        "new_run",
        "emil",
        lambda demo: evaluated(demo, "FAIL") and "/p/demo/evaluations/runs/new/?prompt=shop/size-advice&set=Rug+sizes",
    ),
    Shown(
        "prompt-tests", "emil", lambda demo: evaluated(demo, "FAIL") and "/p/demo/prompts/shop/size-advice/?show=tests"
    ),
    Shown("promotion-evaluated", "ben", lambda demo: evaluated(demo, "FAIL") and promotion("shop/size-advice@4")(demo)),
    Shown("rollouts", "ada", "/p/demo/rollouts/"),
]
