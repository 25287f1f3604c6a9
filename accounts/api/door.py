"""What every door of the management API is: it acts for a principal, and its writes are counted."""

from typing import Any

from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.admission import Allowance, take_write
from accounts.authentication import caller_of
from accounts.policies import Principal


class CountedView(APIView):
    """Methods that are not `reading` are counted as writes of whoever calls, and their answers say what is left."""

    reading: tuple[str, ...] = ("GET", "HEAD", "OPTIONS")
    allowance: Allowance | None = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.method not in self.reading:
            user, _ = caller_of(request)
            self.allowance = take_write(user)
            self.allowance.require()

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        final = super().finalize_response(request, response, *args, **kwargs)
        for name, value in (self.allowance.headers() if self.allowance else {}).items():
            final[name] = value
        return final


class DoorView(CountedView):
    """A view about one project; `principal` is settled before its handler runs."""

    principal: Principal
