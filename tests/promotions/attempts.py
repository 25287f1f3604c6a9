"""What is tried at a door: by whom, on which promotion, with which forgery; and how a refusal is told."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import psycopg
from django.db import DatabaseError
from django.test import Client

from accounts.models import User
from promptforge.lib.errors import DomainError
from promptforge.lib.refusals import explain_driver
from prompts.models import PolicyChange, Promotion
from tests.api.conftest import Caller
from tests.guards.attacks import database_error
from tests.personas import Team


class No(NamedTuple):
    """Why a door does not offer an act, or why a trick cannot be tried there."""

    why: str


class Told(Exception):
    """A refusal: every code and rule that it names, and its sentence."""

    def __init__(self, names: set[str], sentence: str) -> None:
        super().__init__(f"{sorted(names)}: {sentence}")
        self.names, self.sentence = names, sentence


@dataclass
class World:
    """One project full of promotions, and whoever can speak to it."""

    team: Team
    people: dict[str, User]
    promotions: dict[str, Promotion]
    change: PolicyChange
    key: Caller
    sessions: dict[str, Caller] = field(default_factory=dict)
    browsers: dict[str, Client] = field(default_factory=dict)


class Attempt(NamedTuple):
    """Who tries what on which promotion; `fields` is what they forge."""

    world: World
    who: str
    promotion: Promotion
    fields: Mapping[str, Any] = {}

    @property
    def user(self) -> User:
        return self.world.people[self.who]


Act = Callable[[Attempt], object]
Acts = Mapping[str, Act | No]


@contextmanager
def told() -> Iterator[None]:
    """What is refused in the block, as a `Told`: the database's rule, and the code that it stands for."""
    try:
        yield
    except DomainError as error:
        raise Told({error.code, *(fault.code for fault in error.faults)}, error.detail) from error
    except (DatabaseError, psycopg.Error) as error:
        cause = database_error(error)
        refusal = explain_driver(cause)
        rule = cause.diag.constraint_name or cause.sqlstate or ""
        names = {rule, refusal.code} if refusal else {rule}
        raise Told(names, cause.diag.message_primary or "") from error
