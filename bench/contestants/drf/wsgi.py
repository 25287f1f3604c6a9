"""What the web server runs: sync views are fastest without an event loop between them and the server."""

import django
from django.core.handlers.wsgi import WSGIHandler

django.setup(set_prefix=False)
application = WSGIHandler()
