"""The one settings file. Everything that differs between machines comes from the environment.

TRADEGUARD_MODE is `embedded` (default: one machine, bound to 127.0.0.1, generated secrets, SQLite,
bundled Redis) or `production`, which has no defaults for secrets, database, Redis or hosts and
refuses to start without them.
"""

import re
from datetime import timedelta
from email.utils import parseaddr
from pathlib import Path

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from tradeguard import openapi
from tradeguard.embedded import load_secrets, read_redis_url
from tradeguard.logs import log_lines
from tradeguard.schedule import beat_schedule

env = environ.Env()
BASE_DIR = Path(__file__).resolve().parent.parent

MODE = env.str("TRADEGUARD_MODE", default="embedded")
if MODE not in ("embedded", "production"):
    raise ImproperlyConfigured(f"TRADEGUARD_MODE is {MODE!r}; it can be embedded or production.")
EMBEDDED = MODE == "embedded"

# The folder for database, generated secrets, logs, sockets and the simulated broker's books.
HOME = Path(env.str("TRADEGUARD_HOME", default=str(BASE_DIR / "var"))).expanduser().resolve()
(HOME / "logs").mkdir(parents=True, exist_ok=True, mode=0o700)
if EMBEDDED:
    environ.Env.ENVIRON = {**load_secrets(HOME), **environ.Env.ENVIRON}

DEBUG = False
DEFAULT_EXCEPTION_REPORTER_FILTER = "tradeguard.error_reports.SilentFilter"
SECRET_KEY = env.str("SECRET_KEY")
# Stretched into the key that encrypts broker passwords; see accounts/vault.
MASTER_KEY = env.str("TRADEGUARD_MASTER_KEY")
# While the master key is being replaced, the one before, which opens what it has sealed.
PREVIOUS_MASTER_KEYS = env.list("TRADEGUARD_MASTER_KEY_PREVIOUS", default=[])
for name, value in (
    ("SECRET_KEY", SECRET_KEY),
    ("TRADEGUARD_MASTER_KEY", MASTER_KEY),
    *(("Each key of TRADEGUARD_MASTER_KEY_PREVIOUS", key) for key in PREVIOUS_MASTER_KEYS),
):
    if len(value) < 32:
        raise ImproperlyConfigured(f"{name} needs at least 32 characters.")

ALLOWED_HOSTS = env.list(
    "ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"] if EMBEDDED else environ.Env.NOTSET
)
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    "daphne",
    "accounts.administration.AdministrationConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "channels",
    "csp",
    "django_filters",
    "django_htmx",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rest_framework",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "accounts",
    "notifications",
    "groups",
    "risk",
    "copytrade",
    "tradeguard",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "tradeguard.middleware.AnswerHeadersMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "accounts.middleware.SessionActivityMiddleware",
    "accounts.middleware.TimeZoneMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "accounts.middleware.GoneMiddleware",
]

ROOT_URLCONF = "tradeguard.urls"
ASGI_APPLICATION = "tradeguard.asgi.application"
WSGI_APPLICATION = None

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

DATABASES = {
    "default": env.db_url(
        "DATABASE_URL",
        default=f"sqlite:///{HOME / 'tradeguard.sqlite3'}" if EMBEDDED else environ.Env.NOTSET,
    )
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["ENGINE"] = "accounts.sqlite"
    # IMMEDIATE takes the write lock at BEGIN, so that two writers queue instead of failing.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    # A server that vanished must not hold a tick up for the minutes that TCP is patient.
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": 3,
        "tcp_user_timeout": 5_000,  # milliseconds
        **DATABASES["default"].get("OPTIONS", {}),
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env.str("REDIS_URL", default=read_redis_url(HOME) if EMBEDDED else environ.Env.NOTSET)
_REDIS_CACHE = {
    "LOCATION": REDIS_URL,
    # A Redis that hangs must not hang the requests that it counts.
    "OPTIONS": {
        "socket_timeout": 1.0,
        "socket_connect_timeout": 1.0,
        "serializer": "accounts.caches.JsonSerializer",
    },
}
CACHES = {
    # What pages count and remember in passing: they go on without it.
    "default": {
        **_REDIS_CACHE,
        "BACKEND": "accounts.caches.ForgivingRedisCache",
        "KEY_PREFIX": "cache",
    },
    # What the API counts: it answers 503 while it cannot count.
    "attempts": {
        **_REDIS_CACHE,
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "KEY_PREFIX": "attempts",
    },
}
CHANNEL_LAYERS = {
    "default": {
        # The core layer drops messages under load; pub/sub has no capacity limit.
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL], "prefix": "tradeguard"},
    }
}

AUTH_USER_MODEL = "accounts.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 10},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "group-list"
LOGOUT_REDIRECT_URL = "login"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_RESET_TIMEOUT = 3600  # seconds

ACCOUNT_ADAPTER = "accounts.adapters.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email*", "password1*"]
# Nobody reads the mails of an embedded desk: they go to its log.
ACCOUNT_EMAIL_VERIFICATION = env.str(
    "EMAIL_VERIFICATION", default="optional" if EMBEDDED else "mandatory"
)
if ACCOUNT_EMAIL_VERIFICATION not in ("mandatory", "optional"):
    raise ImproperlyConfigured("EMAIL_VERIFICATION can be mandatory or optional.")
ACCOUNT_EMAIL_CONFIRMATION_EXPIRE_DAYS = 1
ACCOUNT_EMAIL_CONFIRMATION_ANONYMOUS_REDIRECT_URL = "login"
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
# Mail goes to addresses that registered here, not to whatever somebody types.
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_LOGIN_TIMEOUT = 300  # seconds between the password and the second factor
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_REAUTHENTICATION_TIMEOUT = 300  # seconds
# Guessing is counted in accounts/attempts.py, for pages and the API together.
ACCOUNT_RATE_LIMITS = {"login": None, "login_failed": None, "reauthenticate": None}
MFA_ADAPTER = "accounts.adapters.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_TOTP_ISSUER = "TradeGuard"
MFA_TOTP_TOLERANCE = 1  # steps of 30 s by which a phone's clock may be off
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_ALLOW_UNVERIFIED_EMAIL = ACCOUNT_EMAIL_VERIFICATION != "mandatory"
MFA_FORMS = {
    "authenticate": "accounts.forms.two_factor.CodeForm",
    "reauthenticate": "accounts.forms.two_factor.CodeAgainForm",
    "activate_totp": "accounts.forms.two_factor.ActivationForm",
}

LANGUAGE_CODE = "en-us"
USE_I18N = False
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
# Until `collectstatic` has run (tests, checks), WhiteNoise finds the files where they are.
WHITENOISE_USE_FINDERS = EMBEDDED
WHITENOISE_MIMETYPES = {".webmanifest": "application/manifest+json"}

SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_NAME = "tradeguard_session"
CSRF_COOKIE_NAME = "tradeguard_csrf"
SESSION_COOKIE_HTTPONLY = True
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if not EMBEDDED:
    SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=True)
    # Probes come from inside, without TLS.
    SECURE_REDIRECT_EXEMPT = [r"^health", r"^metrics$"]
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
    SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=31_536_000)
    SECURE_HSTS_INCLUDE_SUBDOMAINS = env.bool("SECURE_HSTS_INCLUDE_SUBDOMAINS", default=True)
    SECURE_HSTS_PRELOAD = env.bool("SECURE_HSTS_PRELOAD", default=False)
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}

EMAIL_CONFIG = env.email_url(
    "EMAIL_URL", default="consolemail://" if EMBEDDED else environ.Env.NOTSET
)
vars().update(EMAIL_CONFIG)
# A mail server that accepts and falls silent must not hold up all mails after this one.
EMAIL_TIMEOUT = 10  # seconds
DEFAULT_FROM_EMAIL = env.str(
    "DEFAULT_FROM_EMAIL",
    default="TradeGuard <tradeguard@localhost>" if EMBEDDED else environ.Env.NOTSET,
)
# Where links in e-mails lead. PORT is checked by `serve`, which can say what is wrong with it.
PUBLIC_URL = env.str(
    "PUBLIC_URL",
    default=f"http://127.0.0.1:{env.str('PORT', default='') or 8000}"
    if EMBEDDED
    else environ.Env.NOTSET,
)

# Whether webhooks and push services may be in one's own network, and without TLS. On a server that
# strangers use, their addresses would reach whatever it reaches.
NOTIFY_PRIVATE_ADDRESSES = env.bool("NOTIFY_PRIVATE_ADDRESSES", default=EMBEDDED)
# Whom the push services of browsers can ask about what this TradeGuard sends (RFC 8292).
VAPID_SUBJECT = env.str(
    "VAPID_SUBJECT",
    default=f"mailto:{parseaddr(DEFAULT_FROM_EMAIL)[1] or 'tradeguard@localhost'}",
)

# How many requests the API takes: from an address without a user, from a user, and of those that
# move money.
THROTTLES = {
    "anon": env.str("THROTTLE_ANON", default="60/min"),
    "user": env.str("THROTTLE_USER", default="1200/min"),
    "orders": env.str("THROTTLE_ORDERS", default="300/min"),
}
for name, limit in THROTTLES.items():
    if not re.fullmatch(r"[1-9]\d*/(second|sec|s|minute|min|m|hour|h|day|d)", limit):
        raise ImproperlyConfigured(f"THROTTLE_{name.upper()} is {limit!r}; it can be like 60/min.")
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.api.authentication.ProgramAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_PAGINATION_CLASS": "accounts.api.pagination.PageNumberPagination",
    "DEFAULT_FILTER_BACKENDS": [
        "django_filters.rest_framework.DjangoFilterBackend",
        "rest_framework.filters.SearchFilter",
        "rest_framework.filters.OrderingFilter",
    ],
    "DEFAULT_SCHEMA_CLASS": "accounts.api.schema.AutoSchema",
    "DEFAULT_THROTTLE_CLASSES": [
        "accounts.api.throttles.AddressThrottle",
        "accounts.api.throttles.PersonThrottle",
    ],
    "DEFAULT_THROTTLE_RATES": THROTTLES,
    # How many proxies in front of us add to X-Forwarded-For. What a client itself writes there is
    # not believed: with a new address for each attempt it would never be throttled.
    "NUM_PROXIES": env.int("TRUSTED_PROXIES", default=0 if EMBEDDED else 1),
    "EXCEPTION_HANDLER": "accounts.api.errors.exception_handler",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
# How often a password or a code may be wrong, as "number/seconds".
ATTEMPTS = {
    "address": env.str("ATTEMPTS_PER_ADDRESS", default="10/60"),
    "name": env.str("ATTEMPTS_PER_NAME", default="10/300"),
    "code": env.str("ATTEMPTS_PER_CODE", default="10/3600"),
}
for name, limit in ATTEMPTS.items():
    if not re.fullmatch(r"[1-9]\d*/[1-9]\d*", limit):
        raise ImproperlyConfigured(
            f"ATTEMPTS_PER_{name.upper()} is {limit!r}; it can be like 10/60, a number per seconds."
        )
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=15),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=7),
    # A changed password ends every token that was issued before it.
    "CHECK_REVOKE_TOKEN": True,
}
SPECTACULAR_SETTINGS = openapi.DESCRIPTION

# The machines that hold terminals; each runs a worker on the queue `terminals.<name>`.
TERMINAL_HOSTS = env.list("TERMINAL_HOSTS", default=["local"] if EMBEDDED else environ.Env.NOTSET)
TERMINAL_HOST = env.str("TERMINAL_HOST", default=TERMINAL_HOSTS[0])
TICK_INTERVAL_SECONDS = env.float("TICK_INTERVAL_SECONDS", default=0.2)
# Where the simulated broker keeps its books and the address it listens on.
SIMULATED_BROKER_HOME = HOME / "broker"
# On a host of real terminals: the folder with one install folder per account; see
# docs/terminal-host.md. "simulated" runs the same processes against the simulated broker.
TERMINAL_MODULE = env.str("TERMINAL_MODULE", default="metatrader5")
if TERMINAL_MODULE not in ("metatrader5", "simulated"):
    raise ImproperlyConfigured(
        f"TERMINAL_MODULE is {TERMINAL_MODULE!r}; it can be metatrader5 or simulated."
    )
TERMINALS_HOME = env.str("TERMINALS_HOME", default="")
TERMINAL_POLL_SECONDS = env.float("TERMINAL_POLL_SECONDS", default=0.05)
if not 0.01 <= TERMINAL_POLL_SECONDS <= 0.5:
    raise ImproperlyConfigured("TERMINAL_POLL_SECONDS can be 0.01 to 0.5.")

CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_CREATE_MISSING_QUEUES = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# E-mails of the console back-end are no warnings.
CELERY_WORKER_REDIRECT_STDOUTS = False
CELERY_BROKER_TRANSPORT_OPTIONS = {"global_keyprefix": "celery:", "socket_connect_timeout": 2.0}
CELERY_TIMEZONE = "UTC"
# Equity snapshots are taken each minute and rolled up; days are kept for ever.
EQUITY_MINUTES_KEPT_DAYS = env.int("EQUITY_MINUTES_KEPT_DAYS", default=7)
EQUITY_HOURS_KEPT_DAYS = env.int("EQUITY_HOURS_KEPT_DAYS", default=400)
# Notifications that were read are deleted when they are older; the others stay.
NOTIFICATIONS_KEPT_DAYS = env.int("NOTIFICATIONS_KEPT_DAYS", default=180)

CELERY_BEAT_SCHEDULE_FILENAME = str(HOME / "run" / "beat-schedule")
CELERY_BEAT_MAX_LOOP_INTERVAL = 1
CELERY_BEAT_SCHEDULE = beat_schedule(TERMINAL_HOSTS, TICK_INTERVAL_SECONDS)

LOGGING = log_lines(env.str("LOG_LEVEL", default="INFO"))
