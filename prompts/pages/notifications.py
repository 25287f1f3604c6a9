"""Notifications: who is told of what by mail. The table is `promptforge/subscriptions.py`; here are its words."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from accounts.pages.settings import SettingsPage
from accounts.roles import Permission

KINDS_IN_WORDS = {
    "promotion.opened": "Somebody asks to promote a prompt.",
    "review.given": "A review asks for changes.",
    "promotion.rejected": "A promotion is rejected.",
    "drift.found": "A model answers otherwise than when a version went live.",
    "promotion.missed": "A promotion was scheduled and could not be applied.",
    "release.made": "Somebody breaks glass: a release past the gate.",
    "member.added": "Somebody becomes a member.",
    "member.changed": "The roles of a member change.",
    "grant.given": "Somebody may break glass for some minutes.",
    "webhook.disabled": "A webhook failed for three days and is off, or its receiver is gone.",
}
RECEIVERS_IN_WORDS = {
    "accounts.recipients.subject": "The person whom it is about",
    "accounts.recipients.admins": "Admins",
    "accounts.recipients.alarmed": "Admins and release managers",
    "accounts.recipients.keepers": "Admins and release managers",
    "prompts.recipients.may_review": "Whoever may review it, but for those who wrote or opened it",
    "prompts.recipients.opener": "Whoever opened it",
    "prompts.recipients.opener_who_is_asked": "Whoever opened the promotion",
    "prompts.recipients.scheduler": "Whoever scheduled it",
}


class NotificationsPage(SettingsPage):
    section = "settings_notifications"
    needs = Permission.READ  # there is nothing to change

    def get(self, request: HttpRequest) -> HttpResponse:
        mailed = settings.EVENT_MAILED_TO
        return self.draw(
            "prompts/notifications.html",
            {
                "rows": [(kind, words, RECEIVERS_IN_WORDS[mailed[kind]]) for kind, words in KINDS_IN_WORDS.items()],
                "sends": settings.SENDS_MAIL,
                "email": self.principal.user.email,
            },
        )
