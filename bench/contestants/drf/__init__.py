"""A small Django project: a plain DRF view, with token authentication and a look-up in PostgreSQL for each request."""
