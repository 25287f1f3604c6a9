"""Hashing passwords without letting a burst of sign-ins multiply the memory that argon2 takes."""

from threading import BoundedSemaphore

from django.contrib.auth.hashers import Argon2PasswordHasher

_TWO = BoundedSemaphore(2)


class TwoAtATime(Argon2PasswordHasher):
    """Django's argon2, for at most two passwords of this process at once."""

    def encode(self, password: str, salt: str) -> str:
        with _TWO:
            return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        with _TWO:
            return super().verify(password, encoded)
