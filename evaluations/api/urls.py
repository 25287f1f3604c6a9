from django.urls import path

from evaluations.api import runs

urlpatterns = [
    path("evaluation-runs", runs.RunsView.as_view()),
    path("evaluation-runs/estimate", runs.EstimateView.as_view()),
    path("evaluation-runs/<str:run_id>", runs.RunView.as_view()),
    path("evaluation-runs/<str:run_id>/results", runs.ResultsView.as_view()),
    path("evaluation-runs/<str:run_id>/cancel", runs.CancelView.as_view()),
    path("evaluation-runs/<str:run_id>/resume", runs.ResumeView.as_view()),
    path("evaluation-runs/<str:run_id>/labels", runs.LabelsView.as_view()),
    path("evaluation-runs/<str:run_id>/export", runs.ExportView.as_view()),
]
