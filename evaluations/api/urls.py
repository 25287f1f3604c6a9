from django.urls import path

from evaluations.api import sets

urlpatterns = [
    path("evaluation-sets", sets.SetsView.as_view()),
    path("evaluation-sets/<str:set_id>", sets.SetView.as_view()),
    path("evaluation-sets/<str:set_id>/cases", sets.CasesView.as_view()),
    path("evaluation-sets/<str:set_id>/cases/<path:key>", sets.CaseView.as_view()),
    path("evaluation-sets/<str:set_id>/revisions", sets.SetRevisionsView.as_view()),
    path("evaluation-sets/<str:set_id>/export", sets.ExportView.as_view()),
]
