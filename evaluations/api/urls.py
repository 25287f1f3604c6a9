from django.urls import path

from evaluations.api import budget, connections, drift, rules, runs, sets

urlpatterns = [
    path("evaluation-sets", sets.SetsView.as_view()),
    path("evaluation-sets/<str:set_id>", sets.SetView.as_view()),
    path("evaluation-sets/<str:set_id>/cases", sets.CasesView.as_view()),
    path("evaluation-sets/<str:set_id>/cases/<path:key>", sets.CaseView.as_view()),
    path("evaluation-sets/<str:set_id>/revisions", sets.SetRevisionsView.as_view()),
    path("evaluation-sets/<str:set_id>/export", sets.ExportView.as_view()),
    path("evaluation-rules", rules.RulesView.as_view()),
    path("evaluation-rules/<str:rule_id>", rules.RuleView.as_view()),
    path("evaluation-rules/<str:rule_id>/agree", rules.AgreeView.as_view()),
    path("model-connections", connections.ConnectionsView.as_view()),
    path("model-connections/<str:connection_id>", connections.ConnectionView.as_view()),
    path("model-connections/<str:connection_id>/test", connections.TestView.as_view()),
    path("evaluation-budget", budget.BudgetView.as_view()),
    path("drift-watches", drift.WatchesView.as_view()),
    path("drift-watches/<str:watch_id>", drift.WatchView.as_view()),
    path("drift-watches/<str:watch_id>/reference", drift.ReferenceView.as_view()),
    path("evaluation-runs", runs.RunsView.as_view()),
    path("evaluation-runs/estimate", runs.EstimateView.as_view()),
    path("evaluation-runs/<str:run_id>", runs.RunView.as_view()),
    path("evaluation-runs/<str:run_id>/results", runs.ResultsView.as_view()),
    path("evaluation-runs/<str:run_id>/cancel", runs.CancelView.as_view()),
    path("evaluation-runs/<str:run_id>/resume", runs.ResumeView.as_view()),
    path("evaluation-runs/<str:run_id>/labels", runs.LabelsView.as_view()),
    path("evaluation-runs/<str:run_id>/export", runs.ExportView.as_view()),
]
