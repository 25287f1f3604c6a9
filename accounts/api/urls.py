from django.urls import path

from accounts.api import views

urlpatterns = [
    path("api-keys", views.KeysView.as_view()),
    path("api-keys/<str:key_id>", views.KeyView.as_view()),
]
