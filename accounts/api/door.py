"""What every door of the management API is: it acts for a principal, and its writes are counted."""

from typing import Any

from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.admission import count_write
from accounts.policies import Principal


class DoorView(APIView):
    """A view about one project; `principal` is settled before its handler runs.

    Methods that are not `reading` are counted as writes.
    """

    principal: Principal
    reading: tuple[str, ...] = ("GET", "HEAD", "OPTIONS")

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.method not in self.reading:
            count_write(self.principal)
