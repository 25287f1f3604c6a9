from django.urls import path

from delivery.pages.rollouts import RolloutsPage

urlpatterns = [path("rollouts/", RolloutsPage.as_view(), name="rollouts")]
