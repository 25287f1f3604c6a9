from django.urls import path

from delivery.api import langfuse

urlpatterns = [
    path("prompts", langfuse.LangfusePromptsView.as_view()),
    path("prompts/<path:name>", langfuse.LangfusePromptView.as_view()),
]
