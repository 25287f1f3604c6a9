"""Every setting of PromptForge, read from the environment (docs/operations.md lists the names)."""

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.csp import CSP

from promptforge import subscriptions
from promptforge.env import ROOT, env, refuse_unknown_names, var_directory, web_processes
from promptforge.lib import database, keyring, logs

refuse_unknown_names()

ENVIRONMENT = env.str("PROMPTFORGE_ENV", default="development")
if ENVIRONMENT not in ("development", "production"):
    raise ImproperlyConfigured(f"PROMPTFORGE_ENV is {ENVIRONMENT!r}; it is either development or production.")
PRODUCTION = ENVIRONMENT == "production"
VAR = var_directory()

# --- Security -------------------------------------------------------------------------------------------------------
DEBUG = False
SECRET_KEY = keyring.django_secret_key()
ALLOWED_HOSTS = env.list("PROMPTFORGE_ALLOWED_HOSTS", default=[] if PRODUCTION else ["localhost", "127.0.0.1", "[::1]"])
if PRODUCTION and (not ALLOWED_HOSTS or "*" in ALLOWED_HOSTS):
    raise ImproperlyConfigured(
        "PROMPTFORGE_ALLOWED_HOSTS must name the hosts that PromptForge answers for (no wildcard) in production."
    )
CSRF_TRUSTED_ORIGINS = env.list("PROMPTFORGE_TRUSTED_ORIGINS", default=[])
# Where people reach it: what links in webhooks and mail begin with.
ORIGIN = next(
    (origin.rstrip("/") for origin in CSRF_TRUSTED_ORIGINS if "*" not in origin),
    f"http://127.0.0.1:{env.str('PROMPTFORGE_PORT', default='8000')}",
)
CSRF_FAILURE_VIEW = "promptforge.lib.rest.csrf_failure"
SESSION_ENGINE = "accounts.sessions"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PRODUCTION
SECURE_SSL_REDIRECT = PRODUCTION
SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$", r"^metrics$"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if PRODUCTION else None
SECURE_HSTS_SECONDS = 31_536_000 if PRODUCTION else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = PRODUCTION
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SECURE_CSP = {
    "default-src": [CSP.NONE],
    "script-src": [CSP.SELF, CSP.NONCE],
    "style-src": [CSP.SELF, CSP.NONCE],
    "connect-src": [CSP.SELF],
    "img-src": [CSP.SELF],
    "font-src": [CSP.SELF],
    "form-action": [CSP.SELF],
    "base-uri": [CSP.NONE],
    "frame-ancestors": [CSP.NONE],
}
PASSWORD_HASHERS = ["accounts.hashing.TwoAtATime"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "guardian.backends.ObjectPermissionBackend",
]
# guardian's anonymous user would be a row that holds permissions; nobody who is not signed in holds any.
ANONYMOUS_USER_NAME = None
LOGIN_URL = "account_login"
# allauth: nobody signs up, e-mail addresses are the admin's business, and limits, letters and words are ours.
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_PASSWORD_RESET_TOKEN_GENERATOR = "django.contrib.auth.tokens.PasswordResetTokenGenerator"  # noqa: S105
ACCOUNT_REAUTHENTICATION_TIMEOUT = 0  # the time of the sign-in in the session is the one clock (accounts/sign_in.py)
ACCOUNT_RATE_LIMITS = MFA_RATE_LIMITS = False  # theirs count in a cache of each process, ours in PostgreSQL
MFA_ADAPTER = "accounts.adapter.SecondFactorAdapter"
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_TOTP_TOLERANCE = 1
MFA_RECOVERY_CODE_DIGITS = 10
PASSWORD_RESET_TIMEOUT = 3600
# Signing in goes on when all turns are taken: see promptforge/asgi.py.
SIGN_IN_PATHS = {"/accounts/sign-in/", "/accounts/sign-in/code/", "/accounts/confirm/"}

# --- Application ----------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "guardian",
    "simple_history",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "events",
    "accounts",
    "prompts",
    "evaluations",
    "delivery",
]
MIDDLEWARE = [
    "promptforge.middleware.RequestId",
    "promptforge.telemetry.Watched",
    "promptforge.middleware.ReadableAddress",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
]
ROOT_URLCONF = "promptforge.urls"
ASGI_APPLICATION = "promptforge.asgi.application"
APPEND_SLASH = False
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.csp",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
            "builtins": ["promptforge.lib.page_tags", "prompts.pages.tags"],
        },
    },
]
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
USE_I18N = False
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "/static/"
# In production beside the code that names them, whatever is mounted at VAR; else they are served from where they lie.
STATIC_ROOT = ROOT / "var" / "static" if PRODUCTION else None
STATICFILES_DIRS = [ROOT / "static"]
WHITENOISE_USE_FINDERS = not PRODUCTION
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "promptforge.lib.static_files.HashedFiles"
        if PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}

# --- Database -------------------------------------------------------------------------------------------------------
# A statement that waits longer for a lock than this answers 503 with Retry-After instead of queueing for ever.
LOCK_TIMEOUT_SECONDS = 2


def _database(url: str) -> dict[str, Any]:
    config: dict[str, Any] = env.db_url_config(url)
    if config["ENGINE"] != "django.db.backends.postgresql":
        raise ImproperlyConfigured(
            "DATABASE_URL must name a PostgreSQL database (postgresql://…); PromptForge runs on nothing else."
        )
    config["CONN_HEALTH_CHECKS"] = True  # a connection that PostgreSQL closed is replaced, not answered with an error
    config.setdefault("OPTIONS", {})["options"] = (
        f"-c lock_timeout={LOCK_TIMEOUT_SECONDS}s -c idle_in_transaction_session_timeout=60s -c timezone=UTC"
    )
    return config


# "owner" owns the tables and migrates; "default" serves, and is refused what only an owner may do.
DATABASES = {"default": _database(database.application_url()), "owner": _database(database.owner_url())}
DATABASES["owner"]["TEST"] = {"MIRROR": "default"}

# --- Promotions: what can hold one back ------------------------------------------------------------------------------
PROMOTION_CHECKS = [
    "prompts.builtin_checks.ReviewCheck",
    "evaluations.checks.EvaluationCheck",
    "prompts.builtin_checks.UpToDateCheck",
    "prompts.builtin_checks.VariablesCheck",
    "prompts.builtin_checks.HiddenTextCheck",
    "prompts.builtin_checks.SecretsCheck",
    "prompts.builtin_checks.FreezeCheck",
]

# What an app above knows of promotions for a check of a name: a function of ids -> {id: what the check understands}.
PROMOTION_EVIDENCE = {"evaluation": "evaluations.evidence.of_promotions"}
# Where such evidence is read: a function of a promotion and what was found for it -> an address, or nothing.
EVIDENCE_PAGES = {"evaluation": "evaluations.pages.on_promotions.run_address"}
# Parts of pages that apps above draw: functions that name a template and what it needs.
PROMOTION_MODEL_PART = "evaluations.pages.on_promotions.what_the_model_says"
PROMPT_TESTS_PART = "evaluations.pages.on_prompts.tests"
EDITOR_TRIAL_PART = "evaluations.pages.on_editor.trial_part"

# What apps above tell in the inbox that went wrong: functions of a principal -> incidents.
INCIDENTS = ["evaluations.incidents.drifts", "evaluations.incidents.demo"]
# What apps above add to the demo once it is there, a function of the project; and what they tell at a start.
DEMO_GOES_ON = "evaluations.demo.making.begin"
DEMO_TOLD = "evaluations.demo.making.told"

# --- Celery: rows are the queue, messages are wake-ups --------------------------------------------------------------
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default="filesystem://localhost")
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = (
    {
        "data_folder_in": str(VAR / "broker"),
        "data_folder_out": str(VAR / "broker"),
        "control_folder": str(VAR / "broker-control"),
        "polling_interval": 0.1,
    }
    if CELERY_BROKER_URL.startswith("filesystem:")
    else {"visibility_timeout": 3600}
)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_IMPORTS = ["promptforge.telemetry"]  # counts the tasks
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TIMEZONE = "UTC"
SWEEP_SECONDS = 5.0
CELERY_BEAT_SCHEDULE = {
    "write a checkpoint of every chain": {"task": "prompts.tasks.write_checkpoint", "schedule": 300.0},
    "apply what is scheduled": {
        "task": "prompts.tasks.apply_what_is_due",
        "schedule": 5.0,
        "options": {"expires": 5.0},  # the next one finds the same rows
    },
    "forget old idempotent answers": {"task": "accounts.tasks.forget_idempotent_answers", "schedule": 3600.0},
    "forget old failed sign-ins": {"task": "accounts.tasks.forget_sign_in_failures", "schedule": 3600.0},
    "forget sessions that are over": {"task": "accounts.tasks.forget_sessions", "schedule": 3600.0},
    "send letters for new passwords": {
        "task": "accounts.tasks.send_reset_letters",
        "schedule": SWEEP_SECONDS,
        "options": {"expires": SWEEP_SECONDS},
    },
    # The sweepers: they repeat what a lost message would have begun. A message that waited for a worker is not needed.
    "send what is due to webhooks": {
        "task": "events.tasks.send_webhooks",
        "schedule": SWEEP_SECONDS,
        "options": {"expires": SWEEP_SECONDS},
    },
    "send what is due by e-mail": {
        "task": "events.tasks.send_mail",
        "schedule": SWEEP_SECONDS,
        "options": {"expires": SWEEP_SECONDS},
    },
    "watch the models of what is live": {
        "task": "evaluations.tasks.watch",
        "schedule": SWEEP_SECONDS,
        "options": {"expires": SWEEP_SECONDS},
    },
    "start the evaluations that promotions wait for": {
        "task": "evaluations.tasks.start_what_is_demanded",
        "schedule": SWEEP_SECONDS,
        "options": {"expires": SWEEP_SECONDS},
    },
    "work on evaluation runs": {
        "task": "evaluations.tasks.work",
        "schedule": SWEEP_SECONDS,
        "options": {"expires": SWEEP_SECONDS},
    },
    "go on with the demo": {
        "task": "evaluations.tasks.go_on_with_demo",
        "schedule": SWEEP_SECONDS,
        "options": {"expires": SWEEP_SECONDS},
    },
    "forget old answers of models": {"task": "evaluations.tasks.forget_old_answers", "schedule": 3600.0},
}
CHECKPOINT_FILE = VAR / "checkpoints.jsonl"

# --- Events out: webhooks and mail ----------------------------------------------------------------------------------
EVENT_TASKS = subscriptions.TASKS
EVENT_NAMED_BY = subscriptions.NAMED_BY
EVENT_MAILED_TO = subscriptions.MAILED_TO
EVENT_ADDRESSES = subscriptions.ADDRESSES
# Hosts in private networks that webhooks and model connections may call: `host` or `host:port`.
ALLOWED_PRIVATE_HOSTS = env.list("PROMPTFORGE_ALLOWED_PRIVATE_HOSTS", default=[])
DEFAULT_FROM_EMAIL = env.str("EMAIL_FROM", default="") or "PromptForge <promptforge@localhost>"


def _mailers(url: str) -> dict[str, Any]:
    """The one mail server, from its address."""
    config: dict[str, Any] = env.email_url_config(url)
    if not config["EMAIL_BACKEND"].endswith("smtp.EmailBackend"):
        return {"default": {"BACKEND": config["EMAIL_BACKEND"]}}
    options = {
        "host": config["EMAIL_HOST"],
        "port": config["EMAIL_PORT"] or 587,
        "username": config["EMAIL_HOST_USER"] or "",
        "password": config["EMAIL_HOST_PASSWORD"] or "",
        "use_tls": config.get("EMAIL_USE_TLS", False),
        "use_ssl": config.get("EMAIL_USE_SSL", False),
        "timeout": 10,
    }
    return {"default": {"BACKEND": config["EMAIL_BACKEND"], "OPTIONS": options}}


EMAIL_URL = env.str("EMAIL_URL", default="")
SENDS_MAIL = bool(EMAIL_URL)  # without an address no letter is written, so none waits for the day that there is one
MAILERS = _mailers(EMAIL_URL or "dummymail://")
# Doing without mail is a choice, in production too: docs/operations.md says what then is not sent.
SILENCED_SYSTEM_CHECKS = [] if SENDS_MAIL else ["mail.E001"]


# --- Rates, calls a second; twice that at once after a pause ---------------------------------------------------------
def _rate(name: str, default: int) -> int:
    rate = env.int(name, default=default)
    if rate < 1:
        raise ImproperlyConfigured(f"{name} is how many calls a second a caller may send: at least 1.")
    return int(rate)


# Writes are counted in the database, whichever process takes them; fetches and intake by each web process, which has
# its share.
RATE_WRITE = _rate("PROMPTFORGE_RATE_WRITE", 50)
BURST_WRITE = 2 * RATE_WRITE if "PROMPTFORGE_RATE_WRITE" in env.ENVIRON else 200
RATE_FETCH = _rate("PROMPTFORGE_RATE_FETCH", 2000)
RATE_INTAKE = _rate("PROMPTFORGE_RATE_INTAKE", 500)
WEB_PROCESSES = web_processes()

# --- REST -----------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.authentication.KeyAuthentication",
        "accounts.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["accounts.authentication.Authenticated"],
    "DEFAULT_PARSER_CLASSES": ["promptforge.lib.rest.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["promptforge.lib.rest.CanonicalJSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "promptforge.lib.rest.problem_response",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "PromptForge",
    "DESCRIPTION": "Fetch, save and release prompts. docs/api.md tells the same with examples.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "SCHEMA_PATH_PREFIX": "/api/v1/",
    "ENUM_NAME_OVERRIDES": {
        "Arm": ["stable", "canary", "control", "shadow"],
        "EvaluationArm": ["candidate", "baseline"],
        "RunStatus": ["queued", "running", "paused", "done", "cancelled"],
        "CellState": ["pending", "calling", "answered", "done", "unscored"],
        "WatchState": ["quiet", "suspected", "drifted"],
        "DeliveryState": ["waiting", "delivered", "failed"],
        "ConnectionKind": ["openai", "anthropic", "gemini", "local"],
        "PromptType": ["text", "chat"],
        "VariableType": ["string", "number", "integer", "boolean", "enum", "json"],
    },
}
# 200 variables have seven fields each in the editor, and a sample value.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 4_000
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_048_576 * 10  # the strict parser has the lower limit of each call, and says it

# --- Watching -------------------------------------------------------------------------------------------------------
LOGGING = logs.configuration()
# Without it `/metrics` is open in development, and not there in production.
METRICS_TOKEN = env.str("PROMPTFORGE_METRICS_TOKEN", default="")
if METRICS_TOKEN and len(METRICS_TOKEN) < 16:
    raise ImproperlyConfigured(
        "PROMPTFORGE_METRICS_TOKEN is shorter than 16 characters: `openssl rand -hex 32` makes one."
    )
