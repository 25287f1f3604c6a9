"""The addresses of this app's pages, below `p/<project>/`."""

from django.urls import path

from accounts.pages.keys import KeysPage
from accounts.pages.members import MembersPage
from accounts.pages.webhooks import WebhooksPage

urlpatterns = [
    path("settings/members/", MembersPage.as_view(), name="settings_members"),
    path("settings/keys/", KeysPage.as_view(), name="settings_keys"),
    path("settings/webhooks/", WebhooksPage.as_view(), name="settings_webhooks"),
]
