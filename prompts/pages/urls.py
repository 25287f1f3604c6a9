"""The addresses of this app's pages, below `p/<project>/`. A verb stands before a name: names hold slashes."""

from django.urls import path, re_path, register_converter

from prompts.models.prompts import NAME_FORM
from prompts.pages.channels import ChannelsPage
from prompts.pages.compare import ComparePage
from prompts.pages.edit import EditPage, NewPromptPage
from prompts.pages.history import HistoryFile, HistoryPage
from prompts.pages.inbox import InboxPage
from prompts.pages.notifications import NotificationsPage
from prompts.pages.project import SettingsOfProject
from prompts.pages.promotion import PromotionNews, PromotionPage
from prompts.pages.promotion_new import NewPromotionPage
from prompts.pages.prompt import PromptPage
from prompts.pages.prompts import PromptsPage


class PromptName:
    regex = NAME_FORM.strip("^$").replace("(", "(?:")

    @staticmethod
    def to_python(value: str) -> str:
        return value

    to_url = to_python


register_converter(PromptName, "prompt")

urlpatterns = [
    path("", InboxPage.as_view(), name="inbox"),
    path("prompts/", PromptsPage.as_view(), name="prompts"),
    path("history/", HistoryPage.as_view(), name="history"),
    re_path(r"^history/(?P<what>live|ledger|trail)\.csv$", HistoryFile.as_view(), name="history-file"),
    path("prompts/new/", NewPromptPage.as_view(), name="new_prompt"),
    path("edit/<prompt:name>/", EditPage.as_view(), name="edit"),
    path("compare/<prompt:name>/", ComparePage.as_view(), name="compare"),
    path("settings/", SettingsOfProject.as_view(), name="settings"),
    path("settings/channels/", ChannelsPage.as_view(), name="settings_channels"),
    path("settings/notifications/", NotificationsPage.as_view(), name="settings_notifications"),
    path("promotions/new/", NewPromotionPage.as_view(), name="new_promotion"),
    path("promotions/<str:promotion_id>/", PromotionPage.as_view(), name="promotion"),
    path("promotions/<str:promotion_id>/news/", PromotionNews.as_view(), name="promotion-news"),
    path("prompts/<prompt:name>/", PromptPage.as_view(), name="prompt"),
]
