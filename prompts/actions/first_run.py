"""The first account, its project and the examples: what somebody sets up where nobody has an account yet."""

from django.db import connection, transaction

from accounts.actions.members import create_user
from accounts.models import User
from accounts.setup_code import is_setup_code
from promptforge.lib.errors import DomainError, wrong
from promptforge.lib.refusals import refusals
from prompts.actions.projects import found_project


def require_nobody() -> None:
    """Refuse, as if there were no such page, once anybody has an account."""
    if User.objects.exists():
        raise DomainError("not_found", "There is nothing at this address within your reach.")


def set_up(*, code: str, email: str, name: str, password: str, project: str, preset: str) -> User:
    """Make the first admin, for whoever knows the code, and their project. Of two at once one is the first."""
    require_nobody()
    if not is_setup_code(code):
        raise wrong("code", "This is not the code that the server printed when it started.", "forbidden")
    if not name.strip():
        raise wrong("name", "Say how colleagues call you.")
    with refusals(), transaction.atomic():
        with connection.cursor() as cursor:
            # Whoever else makes an account waits until this one stands, and then finds that it does.
            cursor.execute("LOCK TABLE public.accounts_user IN SHARE ROW EXCLUSIVE MODE")
        require_nobody()
        user = create_user(email=email, name=name, password=password, is_staff=True, is_superuser=True)
        found_project(by=user, name=project, preset=preset)
    return user
