from django.urls import path

from delivery.api import feedback, observations, views

urlpatterns = [
    path("prompts", views.PromptsView.as_view()),
    path("prompts/<path:name>", views.FetchView.as_view()),
    path("observations", observations.ObservationsView.as_view()),
    path("observations/<str:observation_id>", observations.ObservationView.as_view()),
    path("feedback", feedback.FeedbackView.as_view()),
]
