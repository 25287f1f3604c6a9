"""Forms of the admin's verbs about promotions and what decides them; each calls one action."""

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib.admin.widgets import AdminTextInputWidget

from accounts.forms import InProjectForm
from accounts.models import Project
from accounts.policies import Principal
from accounts.roles import Permission
from accounts.sign_in import TWELVE_HOURS, require_recent_sign_in
from events.admin.seen import Done
from promptforge.lib.verdicts import Verdict
from prompts.actions.lengths import LONGEST_NOTE, LONGEST_REASON, LONGEST_TITLE
from prompts.actions.promotions import apply_promotion, open_promotion, reject, renew, withdraw
from prompts.actions.releases import ratify
from prompts.actions.reviews import dismiss_review, may_approve, review, sight
from prompts.actions.schedules import schedule, unschedule
from prompts.checks import to_acknowledge
from prompts.forms import Written
from prompts.models import Channel, Head, Promotion, PromptVersion, Release, Review
from prompts.shapes import digest_text
from prompts.showing import Changes, changes, named
from prompts.standing import Standing, standing

if TYPE_CHECKING:
    _ChannelChoice = forms.ModelChoiceField[Channel]
else:
    _ChannelChoice = forms.ModelChoiceField


class AboutPromptForm(InProjectForm):
    """A verb about a row of one prompt; `decides` says that it takes a sign-in of today, as it does by REST."""

    decides: ClassVar[bool] = False

    @classmethod
    def prompt_of(cls, row: Any) -> Any:
        return row.prompt

    @classmethod
    def project_of(cls, row: Any) -> Project:
        project: Project = cls.prompt_of(row).project
        return project

    @classmethod
    def verdict(cls, user: Any, row: Any) -> Verdict:
        prompt = cls.prompt_of(row)
        return Principal(user, prompt.project).may(cls.permission, prompt)

    def demand(self) -> None:
        super().demand()
        if self.decides:
            require_recent_sign_in(self.request, TWELVE_HOURS)


class ChannelField(_ChannelChoice):
    """A channel of the prompt's project, with what is live there."""

    live: dict[int, str]

    def label_from_instance(self, channel: Channel) -> str:
        return f"{channel.name}: {self.live.get(channel.pk, 'nothing is live')}"


class OpenPromotionForm(AboutPromptForm):
    """`row` is the version."""

    title, button = "Open a promotion", "Open the promotion"
    permission = Permission.EDIT
    channel = ChannelField(Channel.objects.none(), empty_label=None)
    # Named otherwise than in the action: `title` is what the page is called.
    aim = forms.CharField(
        label="Title",
        required=False,
        max_length=LONGEST_TITLE,
        widget=AdminTextInputWidget,
        help_text="What it is for, in a line.",
    )
    note = Written(rows=4, required=False, max_length=LONGEST_NOTE, help_text="What whoever reviews it should know.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        heads = Head.objects.filter(prompt=self.row.prompt, version__isnull=False).select_related("version")
        field: Any = self.fields["channel"]
        field.live = {head.channel_id: f"version {head.version.number} is live" for head in heads if head.version}
        field.queryset = Channel.objects.filter(project=self.row.prompt.project).order_by("position", "name")
        self.initial["channel"] = field.queryset.first()

    def do(self) -> Done:
        version: PromptVersion = self.row
        asked = self.cleaned_data
        promotion = open_promotion(
            by=self.by,
            prompt=version.prompt,
            channel=asked["channel"],
            version=version,
            title=asked["aim"],
            note=asked["note"],
        )
        return Done(f"The promotion of {promotion} is open.", promotion)


class ReviewForm(AboutPromptForm):
    """What one person decides, having the change before their eyes. `row` is the promotion."""

    title, button = "Review a promotion", "Send the review"
    template = "admin/prompts/promotion/review.html"
    permission = Permission.READ  # to comment; the action asks for more where more is decided
    decides = True
    decision = forms.ChoiceField(choices=Review.Decision.choices, widget=forms.RadioSelect)
    body = Written(label="Note", rows=5, required=False, max_length=LONGEST_NOTE)
    acknowledged = forms.MultipleChoiceField(required=False, widget=forms.CheckboxSelectMultiple)
    diff_digest = forms.CharField(required=False, widget=forms.HiddenInput)
    seen = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["acknowledged"]
        if asked := to_acknowledge(self.now):
            field.choices = [(each.name.value, each.label) for each in asked]
            field.help_text = named(" ".join(each.says for each in asked))
        else:
            del self.fields["acknowledged"]
        self.initial = {"diff_digest": digest_text(self.row.diff_digest), "seen": self._sight}
        self._offer_decisions()

    @cached_property
    def now(self) -> Standing:
        return standing(self.row)

    @cached_property
    def changes(self) -> Changes:
        return changes(self.row.base_version_id, self.row.version_id)

    @property
    def _sight(self) -> str:
        person: Any = self.request.user
        return sight(self.now, person)

    def _offer_decisions(self) -> None:
        """Those that would not be refused, and why others are missing. If such a one is sent, the action refuses it."""
        person: Any = self.request.user
        by, base = Principal(person, self.row.prompt.project), self.row.base_version
        against = "nothing is live yet" if base is None else f"against version {base.number}"
        labels = {
            Review.Decision.APPROVE: f"Approve version {self.row.version.number}: exactly these words, {against}",
            Review.Decision.REQUEST_CHANGES: "Ask for changes: holds it back until you decide anew",
            Review.Decision.COMMENT: "Comment: decides nothing",
        }
        may, hinders = by.may(Permission.REVIEW, self.row.prompt), may_approve(by, self.row)
        if not hinders.allowed:
            del labels[Review.Decision.APPROVE]
            self.warning = hinders.sentence
        if not may.allowed:
            del labels[Review.Decision.REQUEST_CHANGES]
        widget: Any = self.fields["decision"].widget
        widget.choices = [(decision.value, label) for decision, label in labels.items()]

    def attempt(self) -> Done | None:
        done = super().attempt()
        if done is None:
            # The page comes again with the promotion as it is now; what was typed stays, what was seen is this.
            del self.now
            self.data = {**self.data.dict(), "seen": self._sight}  # type: ignore[attr-defined]  # no field of it is a list
        return done

    def do(self) -> Done:
        asked = self.cleaned_data
        given = review(
            by=self.by,
            promotion=self.row,
            decision=asked["decision"],
            body=asked["body"],
            diff_digest=asked["diff_digest"],
            acknowledged=asked.get("acknowledged", ()),
            seen=asked["seen"],
        )
        said = {
            Review.Decision.APPROVE: "You approved it.",
            Review.Decision.REQUEST_CHANGES: "You asked for changes.",
            Review.Decision.COMMENT: "Your comment stands beside it.",
        }
        return Done(said[Review.Decision(given.decision)], self.row)


class ApplyForm(AboutPromptForm):
    title, button = "Apply a promotion", "Apply now"
    permission = Permission.RELEASE
    decides = True
    reason = Written(
        rows=2, required=False, max_length=LONGEST_REASON, help_text="Left empty, the promotion's title stands there."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        base = self.row.base_version
        before = "Nothing was live before." if base is None else f"It takes the place of version {base.number}."
        version, channel = self.row.version, self.row.channel
        self.warning = f"The next request for {channel} gets {version}. {before}"

    def do(self) -> Done:
        release = apply_promotion(by=self.by, promotion=self.row, reason=self.cleaned_data["reason"])
        return Done(f"{release.version} is live on {self.row.channel} now, at revision {release.revision}.", self.row)


class ScheduleForm(AboutPromptForm):
    title, button = "Schedule a promotion", "Schedule it"
    permission = Permission.RELEASE
    decides = True
    warning = (
        "It is applied then as you, if you still may and nothing is missing at that moment. Otherwise it is called off "
        "and stays open."
    )
    apply_at = forms.DateTimeField(
        label="At (UTC)",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        help_text="A date and a time to come, in UTC.",
    )
    reason = Written(rows=2, required=False, max_length=LONGEST_REASON)

    def do(self) -> Done:
        made = schedule(by=self.by, promotion=self.row, **self.cleaned_data)
        return Done(f"It goes live at {made.apply_at:%Y-%m-%d %H:%M} UTC.", self.row)


class UnscheduleForm(AboutPromptForm):
    title, button = "Call off what is scheduled", "Call it off"
    permission = Permission.RELEASE
    warning = "The promotion stays open."

    def do(self) -> Done:
        unschedule(by=self.by, promotion=self.row)
        return Done("Nothing is scheduled any more.", self.row)


class RenewForm(AboutPromptForm):
    title, button = "Renew a promotion", "Renew it"
    permission = Permission.EDIT
    warning = (
        "It is closed, and its successor compares the version with what is live now. Title and note come along, "
        "reviews do not."
    )

    def do(self) -> Done:
        return Done("This is its successor, on what is live now.", renew(by=self.by, promotion=self.row))


class WithdrawForm(AboutPromptForm):
    title, button = "Withdraw a promotion", "Withdraw it"
    permission = Permission.EDIT
    warning = "It is closed for good; the version may be asked for anew."

    def do(self) -> Done:
        return Done("It is withdrawn.", withdraw(by=self.by, promotion=self.row))


class RejectForm(AboutPromptForm):
    title, button = "Reject a promotion", "Reject it"
    permission = Permission.REVIEW
    decides = True
    warning = "It is closed for good. To have it mended and see it again, ask for changes instead."
    reason = Written(rows=3, required=False, max_length=LONGEST_REASON, help_text="Whoever opened it reads this.")

    def do(self) -> Done:
        return Done("It is rejected.", reject(by=self.by, promotion=self.row, reason=self.cleaned_data["reason"]))


class DismissForm(AboutPromptForm):
    """`row` is the review."""

    title, button = "Dismiss a review", "Dismiss it"
    permission = Permission.RELEASE
    decides = True
    warning = "It stays to be read, and counts no longer."
    reason = Written(rows=3, required=False, max_length=LONGEST_REASON, help_text="Whoever gave it reads this.")

    @classmethod
    def prompt_of(cls, row: Review) -> Any:
        return row.promotion.prompt

    def do(self) -> Done:
        dismissed = dismiss_review(by=self.by, review=self.row, reason=self.cleaned_data["reason"])
        promotion: Promotion = dismissed.promotion
        return Done(f"The review of {dismissed.reviewer} counts no longer.", promotion)


class RatifyForm(AboutPromptForm):
    """`row` is the release."""

    title, button = "Ratify a release", "Ratify it"
    permission = Permission.RELEASE
    warning = "You say as a second person that going past the rules was right."
    note = Written(rows=3, required=False, max_length=LONGEST_REASON)

    def do(self) -> Done:
        release: Release = self.row
        ratify(by=self.by, release=release, note=self.cleaned_data["note"])
        return Done(f"{release} is ratified.", release)
