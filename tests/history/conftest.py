"""What the tests of history share."""

from tests.api.conftest import api, left_before_dropped, reader

__all__ = ["api", "left_before_dropped", "reader"]
