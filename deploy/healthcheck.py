"""Ask the web server of this container whether it lives; the exit code is the answer."""

import os
import urllib.request

# Django answers for its allowed hosts only, and 127.0.0.1 is none of them in production.
host = os.environ["PROMPTFORGE_ALLOWED_HOSTS"].split(",")[0].strip().lstrip(".")
urllib.request.urlopen(urllib.request.Request("http://127.0.0.1:8000/livez", headers={"Host": host}), timeout=2)
