from django.urls import path

from prompts.api import channels, events, projects, views

urlpatterns = [
    path("versions", views.VersionsView.as_view()),
    path("versions/<path:reference>", views.VersionView.as_view()),
    path("diff", views.DiffView.as_view()),
    path("releases", views.ReleasesView.as_view()),
    path("releases/<str:release_id>/ratify", views.RatifyView.as_view()),
    path("channels", channels.ChannelsView.as_view()),
    path("channels/<str:name>", channels.ChannelView.as_view()),
    path("channels/<str:name>/freezes", channels.FreezesView.as_view()),
    path("channels/<str:name>/freezes/<str:freeze_id>", channels.FreezeView.as_view()),
    path("policy-changes/<str:change_id>/approve", channels.ApproveView.as_view()),
    path("events", events.EventsView.as_view()),
    path("projects", projects.ProjectsView.as_view()),
    path("projects/<str:name>", projects.ProjectView.as_view()),
]
