"""The standing shop of the corpora, its keys, and what a code's act may need of them."""

from tests.corpora.conftest import keys, shop

__all__ = ["keys", "shop"]
