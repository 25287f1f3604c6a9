"""The one view, and where it is."""

from django.shortcuts import get_object_or_404
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from bench.contestants.drf.models import Label


class FetchView(APIView):
    """The version that a label of a prompt names: one query with a join, beside that of the token."""

    def get(self, request: Request, name: str) -> Response:
        labels = Label.objects.select_related("prompt", "version")
        label = get_object_or_404(labels, prompt__name=name, name=request.query_params.get("label", "stable"))
        return Response(
            {"name": label.prompt.name, "version": label.version.number, "channel": label.name, **label.version.shown}
        )


urlpatterns = [path("api/v1/prompts/<path:name>", FetchView.as_view())]
