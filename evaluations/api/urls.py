from django.urls import path

from evaluations.api import connections

urlpatterns = [
    path("model-connections", connections.ConnectionsView.as_view()),
    path("model-connections/<str:connection_id>", connections.ConnectionView.as_view()),
    path("model-connections/<str:connection_id>/test", connections.TestView.as_view()),
]
