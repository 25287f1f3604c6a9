from django.urls import path

from accounts.api import members, views, webhooks

urlpatterns = [
    path("api-keys", views.KeysView.as_view()),
    path("api-keys/<str:key_id>", views.KeyView.as_view()),
    path("api-keys/<str:key_id>/rotate", views.RotateView.as_view()),
    path("members", members.MembersView.as_view()),
    path("members/<str:member_id>", members.MemberView.as_view()),
    path("members/<str:member_id>/grants", members.GrantsView.as_view()),
    path("webhook-endpoints", webhooks.WebhooksView.as_view()),
    path("webhook-endpoints/<str:endpoint_id>", webhooks.WebhookView.as_view()),
    path("webhook-endpoints/<str:endpoint_id>/rotate", webhooks.RotateSecretView.as_view()),
    path("webhook-endpoints/<str:endpoint_id>/test", webhooks.TestView.as_view()),
    path("webhook-endpoints/<str:endpoint_id>/deliveries", webhooks.DeliveriesView.as_view()),
    path("webhook-deliveries/<str:delivery_id>/resend", webhooks.ResendView.as_view()),
]
