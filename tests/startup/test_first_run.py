"""What the first start makes, where it makes nothing, and how what was ended half way is completed."""

from io import StringIO

import pytest
from django.core.management import call_command

from accounts.actions.members import create_user
from accounts.models import Project, User
from evaluations.models import DemoStory
from prompts.actions.projects import create_project
from prompts.demo.loader import load_demo_for
from prompts.models import Promotion, Prompt


def first_run(command: str = "first_run") -> str:
    out = StringIO()
    call_command(command, stdout=out)
    return out.getvalue()


class Gone(StringIO):
    """A terminal that has gone away."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_an_account_whose_password_nobody_was_told_is_not_made(committed_db: str) -> None:
    with pytest.raises(BrokenPipeError):
        call_command("first_run", stdout=Gone())
    assert (User.objects.count(), Project.objects.count()) == (0, 0)
    said = first_run()
    assert "Sign in: admin@example.com  password " in said
    assert "Key: pf_" in said
    assert DemoStory.objects.count() == 1
    assert "Sign in" not in first_run()


@pytest.mark.parametrize("command", ["first_run", "setup_code"])
def test_a_demo_that_was_not_begun_is_begun_once(committed_db: str, command: str) -> None:
    project = load_demo_for(create_user(email="admin@example.com", is_staff=True, is_superuser=True))
    assert not Promotion.objects.exists()
    first_run(command)
    assert DemoStory.objects.get().project == project
    made = Promotion.objects.count()
    assert made > 5
    first_run(command)
    assert Promotion.objects.count() == made


def test_where_projects_are_without_a_superuser_it_says_so(committed_db: str) -> None:
    ada = create_user(email="ada@example.com")
    create_project(name="demo", preset="solo", creator=ada)
    said = "There are accounts or projects here and no superuser: `manage.py createsuperuser` makes one.\n"
    assert first_run() == said
    assert list(User.objects.all()) == [ada]
    assert (Prompt.objects.count(), DemoStory.objects.count()) == (0, 0)
