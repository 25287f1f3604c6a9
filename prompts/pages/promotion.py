"""One promotion: what changes, what is left, who said what; reviewing it and carrying it out."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.module_loading import import_string

from accounts.models import BreakGlassGrant, User
from accounts.pages.door import ProjectPage
from accounts.policies import held
from accounts.sign_in import TWELVE_HOURS, require_recent_sign_in
from promptforge.lib.errors import DomainError, Fault
from promptforge.lib.ids import decode
from prompts.actions.promotions import apply_promotion, reject, renew, withdraw
from prompts.actions.releases import break_glass
from prompts.actions.reviews import contributors, dismiss_review, may_approve, review, sight
from prompts.actions.schedules import schedule, unschedule
from prompts.checks import lines, missing, status, to_acknowledge
from prompts.links import promotion_url
from prompts.models import Promotion, Release, Review
from prompts.models.releases import ReleaseKind
from prompts.pages import past
from prompts.pages.differences import differences
from prompts.pages.plate import PROMOTING, REVIEWING, conversation, mark, plate, rail, title
from prompts.pages.prompt import whole
from prompts.pages.verbs import VERBS, Verb, fitting
from prompts.reading import find_promotion
from prompts.shapes import digest_text
from prompts.standing import Standing, standing

Decision = Review.Decision


class PromotionPage(ProjectPage):
    place = "inbox"

    def get(self, request: HttpRequest, promotion_id: str) -> HttpResponse:
        promotion = find_promotion(self.principal, promotion_id)
        now = standing(promotion)
        shown = lines(now)
        may = held(self.principal.user, self.principal.project, promotion.prompt)
        verbs = fitting(now, shown, may, can_break_glass=self._can_break_glass(now))
        form = self._review_form(now, may)
        return self.show(
            "prompts/promotion.html",
            {
                "may": may,
                "now": now,
                "promotion": now.promotion,
                "prompt": now.promotion.prompt,
                "title": title(now),
                "status": status(now, shown),
                "rail": rail(now, shown, _own_steps(form, verbs)),
                "plate": plate(now, shown, may_review=may["review"]),
                "left": {verdict.code for _, verdict in missing(now, shown)},
                "differences": differences(now.promotion.base_version_id, now.promotion.version_id),
                "conversation": list(conversation(now)),
                "verbs": verbs,
                "confirm": self._confirmation(now, verbs),
                "mark": mark(now),
                "model": import_string(settings.PROMOTION_MODEL_PART)(now),
                **form,
                **self._around(now),
            },
        )

    def post(self, request: HttpRequest, promotion_id: str) -> HttpResponse:
        promotion = find_promotion(self.principal, promotion_id)
        act = self._acts.get(request.POST.get("act", ""))
        if act is None:
            raise DomainError("bad_value", "The form does not say what to do with the promotion.")
        return act(self, promotion)

    # --- What is shown -----------------------------------------------------------------------------------------------
    def _can_break_glass(self, now: Standing) -> bool:
        if not now.is_open or now.promotion.version_id == now.head.version_id:
            return False
        mine = BreakGlassGrant.objects.filter(user=self.principal.user, project=self.principal.project)
        since = self.membership.created_at  # a grant ends with the membership that it was given to
        return mine.filter(at__gte=since, at__lte=now.now, expires_at__gt=now.now).exists()

    def _around(self, now: Standing) -> dict[str, Any]:
        """What is live now, and who may not approve."""
        released = Release.objects.select_related("actor", "ratification")
        live = None if now.head.release_id is None else released.get(pk=now.head.release_id)
        wrote = User.objects.filter(pk__in=contributors(now.promotion)).order_by("name")
        return {
            "live": live,
            "unratified": live is not None
            and live.kind == ReleaseKind.BREAK_GLASS
            and not hasattr(live, "ratification"),
            "contributors": [str(user) for user in wrote],
        }

    def _review_form(self, now: Standing, may: Mapping[str, bool]) -> dict[str, Any]:
        """What the person may decide, and why not more; what is to be acknowledged."""
        verdict = may_approve(self.principal, now.promotion) if now.is_open else None
        own = [
            cast.review.decision for cast in now.casts if cast.counts and cast.review.reviewer == self.principal.user
        ]
        return {
            "can_approve": verdict is not None and verdict.allowed,
            "can_object": now.is_open and may["review"],
            "why_not": verdict.sentence if verdict is not None and may["review"] and not verdict.allowed else "",
            "to_acknowledge": to_acknowledge(now),
            "acknowledged": self.typed.getlist("acknowledged"),
            "diff_digest": digest_text(now.promotion.diff_digest),
            "seen": sight(now, self.principal.user),
            "decided": own[-1] if own else "",
        }

    def _confirmation(self, now: Standing, verbs: Mapping[str, Verb]) -> dict[str, Any] | None:
        """What is asked before something happens: from the link that was followed, or the form that was refused."""
        given = self.typed or self.request.GET
        act = given.get("act", "")
        verb = VERBS.get(act) if self.typed and now.is_open else verbs.get(act)
        if verb is None:
            return None
        words = {"version": now.promotion.version.number, "channel": now.promotion.channel, "who": ""}
        live = now.head.version
        words["back"] = "" if live is None else f" Version {live.number} stays one click away."
        if act == "dismiss":
            found = _review_of(now, given.get("review", ""))
            if found is None:
                return None
            words["who"] = found.reviewer
        return {
            "act": act,
            "verb": verb,
            "title": verb.title.format(**words),
            "says": verb.says.format(**words),
            "button": verb.button.format(**words),
            "review": given.get("review", ""),
        }

    # --- What is done ------------------------------------------------------------------------------------------------
    def _review(self, promotion: Promotion) -> HttpResponse:
        require_recent_sign_in(self.request, TWELVE_HOURS)
        sent = self.request.POST
        decision = sent.get("decision", "")
        if decision not in Decision.values:
            sentence = "Say what you decide: approve, ask for changes, or comment."
            raise DomainError("field_required", sentence, [Fault("/decision", "field_required", sentence)])
        if decision == Decision.COMMENT and not sent.get("body", "").strip():
            sentence = "Write what you want to say."
            raise DomainError("field_required", sentence, [Fault("/body", "field_required", sentence)])
        given = review(
            by=self.principal,
            promotion=promotion,
            decision=decision,
            body=sent.get("body", ""),
            diff_digest=sent.get("diff_digest"),
            acknowledged=sent.getlist("acknowledged"),
            seen=sent.get("seen"),
        )
        return self._back(promotion, *_SAID[Decision(given.decision)])

    def _promote(self, promotion: Promotion) -> HttpResponse:
        require_recent_sign_in(self.request, TWELVE_HOURS)
        release = apply_promotion(by=self.principal, promotion=promotion, reason=self._reason)
        live = f"Version {release.version.number} is live in {promotion.channel}."
        return self._back(promotion, live, "The next request gets it.")

    def _schedule(self, promotion: Promotion) -> HttpResponse:
        require_recent_sign_in(self.request, TWELVE_HOURS)
        at, zone = past.instant(self.request.POST)
        if at is None:
            sentence = "Say on which day it goes live."
            raise DomainError("field_required", sentence, [Fault("/date", "field_required", sentence)])
        schedule(by=self.principal, promotion=promotion, apply_at=at, reason=self._reason)
        local = at.astimezone(zone)
        when = f"{local:%A} {local.day} {local:%B}, {local:%H:%M} {past.place(zone)}"
        return self._back(promotion, f"It goes live on {when}.", "Every check is asked again then.")

    def _unschedule(self, promotion: Promotion) -> HttpResponse:
        unschedule(by=self.principal, promotion=promotion)
        return self._back(promotion, "Nothing is scheduled any more.", "The promotion stays open.")

    def _renew(self, promotion: Promotion) -> HttpResponse:
        successor = renew(by=self.principal, promotion=promotion)
        return self._back(successor, "The promotion is renewed.", "It compares with what is live now; ask for reviews.")

    def _withdraw(self, promotion: Promotion) -> HttpResponse:
        withdraw(by=self.principal, promotion=promotion)
        return self._back(promotion, "The promotion is withdrawn.", "You can ask for the version anew.")

    def _reject(self, promotion: Promotion) -> HttpResponse:
        require_recent_sign_in(self.request, TWELVE_HOURS)
        reject(by=self.principal, promotion=promotion, reason=self._reason)
        return self._back(promotion, "The promotion is rejected.", "Whoever opened it reads your reason.")

    def _dismiss(self, promotion: Promotion) -> HttpResponse:
        require_recent_sign_in(self.request, TWELVE_HOURS)
        found = _review_of(standing(promotion), self.request.POST.get("review", ""))
        if found is None:
            raise DomainError("not_found", "There is no such review within reach.")
        dismiss_review(by=self.principal, review=found, reason=self._reason)
        return self._back(promotion, f"The review of {found.reviewer} counts no longer.")

    def _break_glass(self, promotion: Promotion) -> HttpResponse:
        require_recent_sign_in(self.request)
        release = break_glass(
            by=self.principal,
            prompt=promotion.prompt,
            channel=promotion.channel,
            version=promotion.version,
            reason=self._reason,
            expected_revision=whole(self.request.POST.get("revision")) or 0,
        )
        live = f"Version {release.version.number} is live in {promotion.channel}, past every rule."
        return self._back(promotion, live, "It stands in every inbox until a second person ratifies it.")

    @property
    def _reason(self) -> str:
        return self.request.POST.get("reason", "")

    def _back(self, promotion: Promotion, sentence: str, then: str = "") -> HttpResponse:
        return self.done(promotion_url(promotion), sentence, then)

    _acts: ClassVar[Mapping[str, Callable[["PromotionPage", Promotion], HttpResponse]]] = {
        "review": _review,
        "promote": _promote,
        "schedule": _schedule,
        "unschedule": _unschedule,
        "renew": _renew,
        "withdraw": _withdraw,
        "reject": _reject,
        "dismiss": _dismiss,
        "glass": _break_glass,
    }


class PromotionNews(ProjectPage):
    """Whether the page of a promotion has grown old. The page asks it, and changes nothing under one's hands."""

    def get(self, request: HttpRequest, promotion_id: str) -> HttpResponse:
        promotion = find_promotion(self.principal, promotion_id)
        address = reverse("promotion", args=(self.principal.project.name, promotion_id))
        now = standing(promotion)
        if mark(now) == request.GET.get("mark"):
            return HttpResponse(status=204)
        return render(request, "prompts/promotion.html#news", {"changed": _what_changed(now), "address": address})


def _own_steps(form: Mapping[str, Any], verbs: Mapping[str, Verb]) -> list[int]:
    """The steps of the rail that the person who looks can take now."""
    can = {REVIEWING: form["can_approve"] and not form["decided"], PROMOTING: "promote" in verbs}
    return [place for place, applies in can.items() if applies]


def _what_changed(now: Standing) -> str:
    """The newest thing that happened to a promotion, in a sentence."""
    if not now.is_open:
        return f"{title(now)}."
    if now.base_moved and now.head.version is not None:
        return f"Version {now.head.version.number} is live in {now.promotion.channel} by now."
    if now.reviews:
        newest = now.reviews[-1]
        did = {"approve": "approved", "request_changes": "asked for changes", "comment": "commented"}[newest.decision]
        return f"The newest word is by {newest.reviewer}, who {did}."
    return "It does not stand as it did."


def _review_of(now: Standing, opaque: str) -> Review | None:
    try:
        pk = decode("rev", opaque, "not_found")
    except DomainError:
        return None
    return next((given for given in now.reviews if given.pk == pk), None)


_SAID = {
    Decision.APPROVE: ("You approved it.", "A release manager promotes it once nothing is left."),
    Decision.REQUEST_CHANGES: ("You asked for changes.", "It is held back until you decide anew."),
    Decision.COMMENT: ("Your comment stands in the conversation.", ""),
}
