"""The first account, its project and the examples: what somebody sets up where nobody has an account yet."""

from django.db import connection, transaction

from accounts.actions.members import LONGEST_NAME, create_user
from accounts.models import User
from accounts.setup_code import is_setup_code
from promptforge.lib.errors import DomainError, wrong
from promptforge.lib.refusals import refusals
from prompts.actions.projects import found_project


def require_nobody() -> None:
    """Refuse, as if there were no such page, once anybody has an account."""
    if User.objects.exists():
        raise DomainError("not_found", "There is nothing at this address within your reach.")


def set_up(*, code: str, called: str, email: str, password: str, name: str, preset: str) -> User:
    """Make the first admin, for whoever knows the code, and their project `name`. Of two at once one is the first."""
    require_nobody()
    if not is_setup_code(code):
        raise wrong("code", "This is not the code that the server printed when it started.", "forbidden")
    if not 1 <= len(called) <= LONGEST_NAME:
        raise wrong("called", f"Say how colleagues call you, in 1 to {LONGEST_NAME} characters.")
    with refusals(), transaction.atomic():
        with connection.cursor() as cursor:
            # Whoever else makes an account waits until this one stands, and then finds that it does. Hashing a
            # password takes longer than others are willing to wait.
            cursor.execute("SET LOCAL lock_timeout = '15s'")
            cursor.execute("LOCK TABLE public.accounts_user IN SHARE ROW EXCLUSIVE MODE")
        require_nobody()
        user = create_user(email=email, name=called, password=password, is_staff=True, is_superuser=True)
        found_project(by=user, name=name, preset=preset)
    return user
