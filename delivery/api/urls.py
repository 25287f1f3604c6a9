from django.urls import path

from delivery.api import views

urlpatterns = [
    path("prompts", views.PromptsView.as_view()),
    path("prompts/<path:name>", views.FetchView.as_view()),
]
