from django.urls import path

from accounts.api import members, views

urlpatterns = [
    path("api-keys", views.KeysView.as_view()),
    path("api-keys/<str:key_id>", views.KeyView.as_view()),
    path("api-keys/<str:key_id>/rotate", views.RotateView.as_view()),
    path("members", members.MembersView.as_view()),
    path("members/<str:member_id>", members.MemberView.as_view()),
    path("members/<str:member_id>/grants", members.GrantsView.as_view()),
]
