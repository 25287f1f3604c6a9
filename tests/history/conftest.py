"""What the tests of history share."""

from tests.api.conftest import api, reader

__all__ = ["api", "reader"]
