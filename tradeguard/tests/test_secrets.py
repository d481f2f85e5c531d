"""A known secret goes in everywhere, and is looked for in everything that comes out."""

import json
import logging
import pickle
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.core.management import call_command
from django.core.signals import got_request_exception
from django.db import connection, connections
from django.test import Client
from django.urls import NoReverseMatch, get_resolver, reverse
from django.views.debug import ExceptionReporter
from redis import Redis

from accounts.forms.keys import NewKeyForm, RotationForm
from accounts.models import ApiKey, ApiKeyAuditLog, ConnectedAccount, User
from accounts.tasks import verify_key
from accounts.terminals.registry import register, unregister
from accounts.terminals.simulated.server import TradeServer
from accounts.tests.admin_pages import admin_url
from accounts.tests.api_clients import API, client_of
from accounts.tests.factories import NOW, make_host, make_user, sign_in_staff
from tradeguard.protocols import application
from tradeguard.tests.api_routes import Desk, api_routes, make_desk, walk_routes
from tradeguard.tests.secret_traces import (
    Emitted,
    all_logs,
    all_redis_commands,
    database_contents,
    forms_of,
    redis_contents,
)

pytestmark = pytest.mark.django_db(transaction=True)

# In the middle of every secret here; the rest are signs that are written differently everywhere.
CORE = "Kq7xVn2mWbR4tZ"
TOO_LONG = f"{CORE}{'x' * 300}"
UNTYPABLE = f"{CORE}\u202e\x07"


def a_secret(purpose: str) -> str:
    return f"ß\"&<%' +/{CORE}🔑{purpose}"


class Intruder:
    """Uses everything that takes a secret, rightly and wrongly, and keeps all answers."""

    def __init__(self, emitted: Emitted, alice: User, staff: User) -> None:
        self.emitted = emitted
        self.alice = alice
        self.api, self.stranger = client_of(alice), client_of(make_user("mallory"))
        self.browser, self.admin = Client(), Client()
        self.browser.force_login(alice)
        sign_in_staff(self.admin, staff)
        for client in (self.api, self.stranger, self.browser, self.admin):
            client.raise_request_exception = False

    def ask(self, method: str, path: str, data: Any, *, client: Any = None) -> Any:
        answer = (client or self.api).generic(
            method, f"{API}{path}", json.dumps(data), content_type="application/json"
        )
        self.emitted.take_answer(f"API {method} {path}", answer)
        return answer

    def post(self, url: str, data: dict[str, Any], *, client: Client | None = None) -> Any:
        answer = (client or self.browser).post(url, data)
        self.emitted.take_answer(f"page POST {url}", answer)
        return answer

    def get(self, url: str, *, client: Client | None = None) -> Any:
        answer = (client or self.browser).get(url)
        self.emitted.take_answer(f"page GET {url}", answer)
        return answer


@pytest.fixture
def emitted() -> Emitted:
    return Emitted(CORE, settings.MASTER_KEY)


@pytest.fixture
def intruder(emitted: Emitted, alice: User) -> Intruder:
    staff = make_user("staff", is_staff=True, is_superuser=True)
    return Intruder(emitted, alice, staff)


@contextmanager
def listening(emitted: Emitted) -> Iterator[None]:
    with all_redis_commands(emitted), all_logs(emitted):
        yield


@pytest.fixture
def server() -> Iterator[TradeServer]:
    server = TradeServer(clock=NOW.timestamp, feed=False)
    register("local", server)
    yield server
    unregister("local")
    server.close()


def use_the_api(intruder: Intruder, desk: Desk) -> ApiKey:
    ask = intruder.ask
    made = ask("POST", "/api-keys", {"name": "By API", "secret": a_secret("create")})
    key = made.json().get("id", desk.ids["api-keys"])
    ask("POST", f"/api-keys/{key}/rotate", {"secret": a_secret("new")})
    account = {**desk.bodies["accounts"], "password": a_secret("account")}
    own = ask("POST", "/accounts", account).json().get("id", desk.account.pk)
    ask("PATCH", f"/accounts/{own}", {"password": a_secret("changed")})
    ask("POST", f"/accounts/{own}/connect", {})
    for wrong in (TOO_LONG, UNTYPABLE, [CORE], {"a": CORE}, f"{CORE}\ud800"):
        ask("POST", "/api-keys", {"name": "Wrong", "secret": wrong})
        ask("POST", f"/api-keys/{key}/rotate", {"secret": wrong})
        ask("POST", "/accounts", {**account, "login": 124, "password": wrong})
        ask("PATCH", f"/accounts/{own}", {"password": wrong})
    ask("POST", "/api-keys", {"secret": a_secret("no name")})
    ask("PUT", f"/api-keys/{key}", {"name": "By API", "secret": a_secret("put")})
    ask("PATCH", f"/api-keys/{key}", {"status": CORE[:3], "secret": a_secret("patch")})
    ask("POST", "/accounts", {**account, "login": "none", "password": a_secret("refused")})
    ask("POST", f"/api-keys/{key}/rotate", {"secret": a_secret("x")}, client=intruder.stranger)
    ask("POST", f"/api-keys/{key}/verify", {})
    for garbage in ('{"name": "A", "secret": "%s"', '["%s"]', '"%s"', "secret=%s"):
        for path in ("/api-keys", f"/api-keys/{key}/rotate", "/accounts"):
            answer = intruder.api.generic(
                "POST", f"{API}{path}", garbage % CORE, content_type="application/json"
            )
            intruder.emitted.take_answer(f"API garbage {path}", answer)
    return ApiKey.objects.get(pk=key)


def use_the_pages(intruder: Intruder, desk: Desk) -> None:
    new = reverse("key-create")
    for secret in (a_secret("page"), TOO_LONG, UNTYPABLE):
        intruder.post(new, {"name": "By page", "secret": secret})
        intruder.post(new, {"name": "", "secret": secret})
        intruder.post(reverse("key-rotate", args=[desk.ids["api-keys"]]), {"secret": secret})
        body = {**desk.bodies["accounts"], "login": 777, "password": secret}
        intruder.post(reverse("account-create"), {**body, "time_zone": "UTC"})
        intruder.post(reverse("account-create"), {**body, "name": ""})
        intruder.post(reverse("account-update", args=[desk.account.pk]), body)


def use_the_admin(intruder: Intruder, desk: Desk) -> None:
    add = admin_url(ApiKey, "add")
    for secret in (a_secret("admin"), TOO_LONG, UNTYPABLE):
        body = {"user": intruder.alice.pk, "name": "By admin", "status": "active"}
        body["password"] = secret
        intruder.post(add, body, client=intruder.admin)
        intruder.post(add, {**body, "user": ""}, client=intruder.admin)
        change = admin_url(ApiKey, "change", desk.ids["api-keys"])
        intruder.post(change, body, client=intruder.admin)
        intruder.post(change, {**body, "status": "nonsense"}, client=intruder.admin)


def use_at_the_broker(intruder: Intruder, key: ApiKey) -> None:
    """Have an account log in with the key: the broker knows no such login, and says so."""
    account = ConnectedAccount.objects.filter(user=intruder.alice).first()
    assert account is not None
    ConnectedAccount.objects.filter(pk=account.pk).update(api_key=key, terminal_host=make_host())
    question = ApiKeyAuditLog.objects.filter(key_id=key.pk, action="verified").first()
    verify_key("local", str(key.pk), question.pk if question else 0)


def look_at_everything(intruder: Intruder, desk: Desk) -> None:
    for route in api_routes():
        if "GET" in route.methods:
            answer = intruder.api.get(route.address(desk))
            intruder.emitted.take_answer(f"API GET {route.template}", answer)
    for url in page_addresses(desk):
        intruder.get(url)
    for model in admin.site._registry:
        row = model._default_manager.first()
        pages: list[tuple[Any, ...]] = [("changelist",), ("add",)]
        pages += [(page, row.pk) for page in ("change", "history", "delete") if row is not None]
        for page in pages:
            try:
                url = admin_url(model, *page)
            except NoReverseMatch:
                continue
            intruder.get(url, client=intruder.admin)


def page_addresses(desk: Desk) -> Iterator[str]:
    known = {
        "account_id": desk.account.pk,
        "group_id": desk.group.pk,
        "rule_id": desk.rule.pk,
        "key_id": desk.ids["api-keys"],
        "notification_id": desk.ids["notifications"],
    }
    left_out = ("/admin/", "/api/", "/logout", "/static/")
    for template, _ in walk_routes(get_resolver().url_patterns, "/"):
        if not template.startswith(left_out):
            try:
                yield template.format(**known)
            except (KeyError, IndexError, ValueError):
                continue


def look_inside(emitted: Emitted) -> None:
    with Redis.from_url(settings.REDIS_URL) as client:
        emitted.take("Redis", *redis_contents(client))
    emitted.take("database", *database_contents())
    dump = StringIO()
    call_command("dumpdata", "--all", stdout=dump)
    emitted.take("dumpdata", dump.getvalue())
    for model in apps.get_models():
        for row in model._base_manager.all():
            emitted.take(f"{model.__name__} row", repr(row), str(row), repr(vars(row)))
            emitted.take(f"{model.__name__} pickled", pickle.dumps(row))


def test_it_emits_no_secret_anywhere(
    intruder: Intruder, emitted: Emitted, server: TradeServer
) -> None:
    desk = make_desk(intruder.alice)
    with listening(emitted):
        key = use_the_api(intruder, desk)
        use_the_pages(intruder, desk)
        use_the_admin(intruder, desk)
        use_at_the_broker(intruder, key)
        look_at_everything(intruder, desk)
        call_command("rotate_master_key", stdout=StringIO())
    look_inside(emitted)
    assert emitted.leaks == []
    # It did look, and there was something to be found.
    assert ApiKey.objects.get(pk=key.pk).secret == a_secret("new")
    assert ApiKey.objects.filter(name__in=["By API", "By page", "By admin"]).count() >= 3
    assert emitted.answers[429] == 0
    assert emitted.answers[200] > 100
    for source in ("Redis", "Redis commands", "database", "dumpdata", "log django.db.backends"):
        assert emitted.sources[source] > 500, source


@pytest.mark.parametrize("place", ["cipher", "save", "row", "commit"])
def test_it_stays_out_of_error_reports(
    intruder: Intruder, emitted: Emitted, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """An error report shows the local variables of every frame and what the form had."""
    desk = make_desk(intruder.alice)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("planted")

    planted: dict[str, tuple[str, Callable[..., Any]]] = {
        "cipher": ("accounts.vault.cipher._value_key", fail),
        "save": ("accounts.models.ApiKey.save", fail),
        "row": ("accounts.services.key_trail.Operation.row", fail),
        "commit": ("django.db.models.sql.compiler.SQLInsertCompiler.execute_sql", fail),
    }
    reports = 0

    def report(sender: object, request: Any = None, **_: object) -> None:
        nonlocal reports
        reports += 1
        reporter = ExceptionReporter(request, *sys.exc_info())
        emitted.take("report", reporter.get_traceback_html(), reporter.get_traceback_text())

    monkeypatch.setattr(*planted[place])
    got_request_exception.connect(report)
    try:
        use_the_api(intruder, desk)
        use_the_pages(intruder, desk)
        use_the_admin(intruder, desk)
    finally:
        got_request_exception.disconnect(report)
    assert reports > 2
    assert emitted.leaks == []


def test_it_stays_out_of_forms() -> None:
    emitted = Emitted(CORE)
    data = {"name": "", "secret": a_secret("form"), "password": a_secret("form")}
    for form in (NewKeyForm(data), RotationForm({"secret": TOO_LONG})):
        form.is_valid()
        emitted.take("form", repr(form), str(form), form.errors.as_json(), form.errors.as_text())
    assert emitted.leaks == []


async def test_it_stays_out_of_sockets(alice: User, emitted: Emitted) -> None:
    def prepare() -> tuple[Desk, str]:
        desk = make_desk(alice)
        ApiKey.objects.create(user=alice, name="Another", secret=a_secret("socket"))
        browser = Client()
        browser.force_login(alice)
        return desk, browser.cookies[settings.SESSION_COOKIE_NAME].value

    desk, session = await sync_to_async(prepare)()
    headers = [
        (b"host", b"testserver"),
        (b"origin", b"http://testserver"),
        (b"cookie", f"{settings.SESSION_COOKIE_NAME}={session}".encode()),
    ]
    heard = 0
    communicator_of: Any = WebsocketCommunicator  # the package has no types
    for path in (f"account/{desk.account.pk}", f"group/{desk.group.pk}", "dashboard"):
        for query in ("", "?format=html"):
            socket = communicator_of(application, f"/ws/{path}{query}", headers=headers)
            accepted, _ = await socket.connect(timeout=5)
            assert accepted
            message = await socket.receive_output(timeout=5)
            emitted.take(f"socket {path}{query}", message)
            heard += "text" in message
            await socket.disconnect()
    # Of the thread that asks for all of them; PostgreSQL does not drop a database that is in use.
    await sync_to_async(connections.close_all)()
    assert heard > 2
    assert emitted.leaks == []


@pytest.mark.parametrize("form", forms_of(a_secret("planted")))
def test_it_would_find_a_secret_in_each_form(form: str) -> None:
    emitted = Emitted(a_secret("planted"))
    emitted.take("planted", b"before " + forms_of(a_secret("planted"))[form] + b" after")
    assert emitted.leaks


def test_it_would_find_a_leak_in_each_place(
    intruder: Intruder, emitted: Emitted, redis: Redis
) -> None:
    """Planted deliberately, one after the other: each is found where it is."""

    def finds(source: str) -> bool:
        found = any(leak.startswith(source) for leak in emitted.leaks)
        emitted.leaks.clear()
        return found

    with listening(emitted):
        logging.getLogger("some.library").debug("body: %s", {"password": CORE})
        assert finds("log some.library")
        with connection.cursor() as cursor:
            cursor.execute("SELECT %s", [CORE])
        assert finds("log django.db.backends")
        redis.publish("tradeguard", CORE)
    assert finds("Redis commands")
    intruder.get(f"/login?next=/{CORE}", client=Client())
    assert finds("page GET /login")
    redis.rpush("celery:default", json.dumps({"body": CORE}))
    User.objects.filter(pk=intruder.alice.pk).update(first_name=CORE)
    look_inside(emitted)
    assert {leak.partition(":")[0] for leak in emitted.leaks} >= {
        "Redis", "database", "dumpdata", "User row", "User pickled",
    }  # fmt: skip
