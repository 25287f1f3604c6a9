from django.urls import path

from prompts.api import channels, events, projects, promotions, views

urlpatterns = [
    path("versions", views.VersionsView.as_view()),
    path("versions/<path:reference>", views.VersionView.as_view()),
    path("diff", views.DiffView.as_view()),
    path("releases", views.ReleasesView.as_view()),
    path("releases/<str:release_id>/ratify", views.RatifyView.as_view()),
    path("promotions", promotions.PromotionsView.as_view()),
    path("promotions/<str:promotion_id>", promotions.PromotionView.as_view()),
    path("promotions/<str:promotion_id>/reviews", promotions.ReviewsView.as_view()),
    path("promotions/<str:promotion_id>/reviews/<str:review_id>/dismiss", promotions.DismissView.as_view()),
    path("promotions/<str:promotion_id>/apply", promotions.ApplyView.as_view()),
    path("promotions/<str:promotion_id>/unschedule", promotions.UnscheduleView.as_view()),
    path("promotions/<str:promotion_id>/withdraw", promotions.WithdrawView.as_view()),
    path("promotions/<str:promotion_id>/reject", promotions.RejectView.as_view()),
    path("promotions/<str:promotion_id>/renew", promotions.RenewView.as_view()),
    path("channels", channels.ChannelsView.as_view()),
    path("channels/<str:name>", channels.ChannelView.as_view()),
    path("channels/<str:name>/freezes", channels.FreezesView.as_view()),
    path("channels/<str:name>/freezes/<str:freeze_id>", channels.FreezeView.as_view()),
    path("policy-changes/<str:change_id>/approve", channels.ApproveView.as_view()),
    path("events", events.EventsView.as_view()),
    path("projects", projects.ProjectsView.as_view()),
    path("projects/<str:name>", projects.ProjectView.as_view()),
]
