"""Guessing passwords at the sign-in page gets slow, and never locks anybody out."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.test import Client

from accounts.actions.members import create_user
from accounts.models import SignInFailures
from accounts.tasks import forget_sign_in_failures

RIGHT = "a long enough word"


def attempt(password: str, email: str = "root@example.com", address: str = "127.0.0.1") -> Any:
    try:
        return Client(REMOTE_ADDR=address).post("/accounts/sign-in/", {"login": email, "password": password})
    finally:
        connections.close_all()


def move_waits(minutes: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE accounts_signinfailures SET until = until + interval '{minutes} minutes'")


@pytest.fixture
def root(committed_db: str) -> None:
    create_user(email="root@example.com", password=RIGHT, is_staff=True, is_superuser=True)


def test_fifty_wrong_guesses_at_once_count_fifty(root: None) -> None:
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(attempt, ["wrong"] * 50))
    row = SignInFailures.objects.get()
    assert row.failures == 50
    assert sum(answer.status_code == 429 for answer in answers) >= 35
    move_waits(5)
    refused = attempt(RIGHT, "ROOT@example.com")
    assert refused.status_code == 429
    assert "Too many sign-ins failed. Wait" in refused.content.decode()
    assert 290 <= int(refused["Retry-After"]) <= 1200
    move_waits(-15)
    move_waits(-15)
    assert attempt(RIGHT).status_code == 302
    assert not SignInFailures.objects.exists()


@pytest.mark.parametrize("spelling", ["MIKKA", "mİkka", "mi\N{KELVIN SIGN}ka", "mıkka"])
def test_whoever_is_found_by_a_spelling_is_counted_by_it(committed_db: str, spelling: str) -> None:
    """`ı` has the capital letter of `i`, `İ` its small one, and the Kelvin sign that of `k`."""
    stored, typed = "mikka@example.com", f"{spelling}@example.com"
    create_user(email=stored, password=RIGHT)
    attempt("wrong", stored)
    attempt("wrong", typed)
    found = attempt(RIGHT, typed).status_code == 302
    assert SignInFailures.objects.count() == (0 if found else 2)
    if spelling in ("MIKKA", "mıkka"):
        assert found == (spelling == "MIKKA"), "what folds to another letter is another address"


def test_a_network_is_counted_and_a_success_gives_back_its_own_try(root: None) -> None:
    for number in range(10):
        assert attempt("wrong", f"p{number}@example.com", f"8.8.4.{number}").status_code == 200
    assert attempt(RIGHT, address="8.8.4.200").status_code == 429
    move_waits(-15)
    before = SignInFailures.objects.order_by("-failures")[0].failures
    assert attempt(RIGHT, address="8.8.4.200").status_code == 302
    assert SignInFailures.objects.order_by("-failures")[0].failures == before
    assert attempt(RIGHT, address="8.8.4.201").status_code == 302


def test_known_and_unknown_addresses_are_answered_alike_and_none_is_stored(root: None) -> None:
    told = [attempt("wrong", email).context["form"].non_field_errors() for email in ("root@example.com", "x@y.example")]
    assert told[0] == told[1]
    assert not [row.digest for row in SignInFailures.objects.all() if "@" in row.digest]
    SignInFailures.objects.update(failures=10**6, until=None)
    assert attempt("wrong").status_code == 200
    row = SignInFailures.objects.exclude(until=None).get()
    assert row.until is not None
    assert row.until - row.at == timedelta(minutes=15)


def test_a_day_without_failures_leaves_no_row(committed_db: str) -> None:
    SignInFailures.objects.create(digest="old", failures=11)
    SignInFailures.objects.create(digest="new", failures=11)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE accounts_signinfailures SET at = now() - interval '25 hours' WHERE digest = 'old'")
    forget_sign_in_failures()
    assert list(SignInFailures.objects.values_list("digest", flat=True)) == ["new"]
