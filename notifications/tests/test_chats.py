import importlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from django.core.exceptions import ValidationError

from notifications.delivering import apprise_link
from notifications.delivering.transport import TransportError
from notifications.tests.chat_cases import (
    ALL,
    AUTH_TOKEN,
    DISCORD,
    HOOK_TOKEN,
    SLACK,
    SLACK_TOKEN,
    SMS,
    TELEGRAM,
    TOKEN,
    read,
    telegram_says,
)
from notifications.tests.http_edge import Reply, answer, answered_by, fail
from notifications.tests.transport_contract import Behaviour, TransportContract, make_letter
from notifications.transports import transports


class ChatContract(TransportContract):
    """`replies` has this service's own answers; what cannot be reached is the same for all."""

    replies: Mapping[Behaviour, Reply]

    @contextmanager
    def other_side(self, behaviour: Behaviour) -> Iterator[list[Any]]:
        unreached = {
            Behaviour.IS_SILENT: fail(requests.ReadTimeout),
            Behaviour.IS_AWAY: fail(requests.ConnectionError),
        }
        with answered_by({**unreached, **self.replies}[behaviour]) as made:
            yield made


class TestTelegramContract(ChatContract):
    name = "telegram"
    credentials = TELEGRAM
    secrets = (TOKEN, TOKEN.partition(":")[2])
    garbage = {"bot_token": "123456789:short", "chat_id": "alice", "topic_id": "first"}
    replies = {
        Behaviour.ACCEPTS: answer(200, '{"ok": true, "result": {}}'),
        Behaviour.IS_BUSY: telegram_says(429, f"Too many: {TOKEN}", retry_after=17),
        Behaviour.REFUSES: telegram_says(400, f"Bad Request: can't parse {TOKEN}"),
        Behaviour.IS_GONE: telegram_says(403, f"Forbidden: bot was blocked by the user {TOKEN}"),
    }


class TestDiscordContract(ChatContract):
    name = "discord"
    credentials = DISCORD
    secrets = (HOOK_TOKEN,)
    garbage = {"webhook_url": f"https://evil.example/api/webhooks/112233445566778899/{HOOK_TOKEN}"}
    replies = {
        Behaviour.ACCEPTS: answer(204),
        Behaviour.IS_BUSY: answer(429, f'{{"message": "{HOOK_TOKEN}", "retry_after": 0.5}}'),
        Behaviour.REFUSES: answer(400, f'{{"message": "Invalid {HOOK_TOKEN}", "code": 50035}}'),
        Behaviour.IS_GONE: answer(404, f'{{"message": "Unknown {HOOK_TOKEN}", "code": 10015}}'),
    }


class TestSlackContract(ChatContract):
    name = "slack"
    credentials = SLACK
    secrets = (SLACK_TOKEN,)
    garbage = {"webhook_url": f"https://hooks.slack.com/services/T0AB12CD3/../{SLACK_TOKEN}"}
    replies = {
        Behaviour.ACCEPTS: answer(200, "ok"),
        Behaviour.IS_BUSY: answer(429, SLACK_TOKEN, {"Retry-After": "30"}),
        Behaviour.REFUSES: answer(400, f"invalid_payload {SLACK_TOKEN}"),
        Behaviour.IS_GONE: answer(404, "no_service"),
    }


class TestSmsContract(ChatContract):
    name = "sms"
    credentials = SMS
    secrets = (AUTH_TOKEN, SMS["to_number"])
    garbage = {
        "to_number": "601234567",
        "from_number": "+1 500 555 0006",
        "account_sid": "AC123",
        "auth_token": "secret",
        "api_key": "AC00112233445566778899aabbccddeeff",
    }
    replies = {
        Behaviour.ACCEPTS: answer(201, '{"sid": "SM1", "status": "queued"}'),
        Behaviour.IS_BUSY: answer(503, f'{{"code": 20503, "message": "{AUTH_TOKEN}"}}'),
        Behaviour.REFUSES: answer(400, f'{{"code": 21617, "message": "Too long {AUTH_TOKEN}"}}'),
        Behaviour.IS_GONE: answer(400, '{"code": 21610, "message": "to +420601234567 said STOP"}'),
    }


@pytest.mark.parametrize(
    ("name", "reply", "seconds"),
    [
        ("telegram", telegram_says(429, "Too Many Requests", retry_after=17), 17),
        ("discord", answer(429, '{"retry_after": 0.5}'), 0.5),
        ("discord", answer(429, '{"retry_after": 1}', {"Retry-After": "65"}), 65),
        ("slack", answer(429, "rate_limited", {"Retry-After": "30"}), 30),
        ("sms", answer(429, '{"code": 20429}', {"Retry-After": "99999999"}), 86_400),
        ("sms", answer(503, "", {"Retry-After": "Fri, 20 Nov 2026 12:00:00 GMT"}), None),
        ("slack", answer(500, "", {"Retry-After": "-1"}), None),
        ("slack", answer(500, "", {"Retry-After": "nan"}), None),
    ],
)
def test_it_hands_on_for_how_long_to_wait(name: str, reply: Reply, seconds: float | None) -> None:
    with answered_by(reply) as made, pytest.raises(TransportError) as caught:
        transports()[name].send(make_letter(), ALL[name])

    assert len(made) == 1
    assert caught.value.permanent is False
    assert caught.value.retry_after_seconds == seconds


@pytest.mark.parametrize(
    ("name", "reply", "permanent", "is_gone"),
    [
        ("telegram", telegram_says(401, "Unauthorized"), True, True),
        ("telegram", telegram_says(404, "Not Found"), True, True),
        ("telegram", telegram_says(400, "Bad Request: chat not found"), True, True),
        ("telegram", telegram_says(400, "Bad Request: message is too long"), True, False),
        ("telegram", telegram_says(403, "Forbidden: user is deactivated"), True, True),
        ("telegram", answer(502, "<html>Bad Gateway</html>"), False, False),
        ("telegram", answer(302, "", {"Location": "https://evil.example"}), False, False),
        ("discord", answer(401, '{"message": "Invalid Webhook Token"}'), True, True),
        ("discord", answer(500, "[1]"), False, False),
        ("discord", answer(502, "[" * 4_096), False, False),
        ("slack", answer(200, "<html>Sign in to this network</html>"), False, False),
        ("slack", answer(403, "action_prohibited"), True, True),
        ("slack", answer(410, "channel_is_archived"), True, True),
        ("slack", answer(400, "invalid_payload"), True, False),
        ("sms", answer(401, '{"code": 20003, "message": "Authenticate"}'), True, True),
        ("sms", answer(400, '{"code": 21211, "message": "Not valid"}'), True, True),
        ("sms", answer(400, "not JSON"), True, False),
        ("sms", answer(408), False, False),
    ],
)
def test_it_knows_what_each_answer_means(
    name: str, reply: Reply, permanent: bool, is_gone: bool
) -> None:
    with answered_by(reply) as made, pytest.raises(TransportError) as caught:
        transports()[name].send(make_letter(), ALL[name])

    assert len(made) == 1  # no attempt of the plugin's own
    assert (caught.value.permanent, caught.value.is_gone) == (permanent, is_gone)
    assert caught.value.was_answered is True


def test_it_says_where_a_telegram_group_went() -> None:
    reply = telegram_says(400, "Bad Request: group chat was upgraded", migrate_to_chat_id=-100777)

    with answered_by(reply), pytest.raises(TransportError, match="-100777") as caught:
        transports()["telegram"].send(make_letter(), TELEGRAM)

    assert caught.value.is_gone


@pytest.mark.parametrize(
    "url",
    [
        f"https://discord.com.evil.example/api/webhooks/112233445566778899/{HOOK_TOKEN}",
        f"http://discord.com/api/webhooks/112233445566778899/{HOOK_TOKEN}",
        f"https://discord.com@evil.example/api/webhooks/112233445566778899/{HOOK_TOKEN}",
        f"https://discord.com/api/webhooks/../112233445566778899/{HOOK_TOKEN}",
        f"https://discord.com/api/webhooks/112233445566778899/{HOOK_TOKEN}/slack",
        f"https://discord.com/api/webhooks/112233445566778899/{HOOK_TOKEN}\n",
        "json://127.0.0.1",
        "",
    ],
)
def test_it_takes_no_other_address_for_a_webhook_of_discord(url: str) -> None:
    if url.endswith("\n"):
        assert transports()["discord"].check({"webhook_url": url})["webhook_url"] == url.strip()
        return
    with pytest.raises(ValidationError):
        transports()["discord"].check({"webhook_url": url})


def test_it_keeps_the_connection_and_nobody_s_cookies() -> None:
    sessions: list[Any] = []

    def reply(request: requests.PreparedRequest) -> requests.Response:
        assert "Cookie" not in request.headers
        return answer(200, '{"ok": true}', {"Set-Cookie": "who=alice; Path=/"})(request)

    with pytest.MonkeyPatch.context() as patch:
        begin = requests.Session.__init__

        def count(session: requests.Session) -> None:
            sessions.append(session)
            begin(session)

        patch.setattr(requests.Session, "__init__", count)
        patch.setattr(time, "sleep", lambda _: pytest.fail("A plugin sleeps."))
        with answered_by(reply) as made, transports()["telegram"].opened() as send:
            for _ in range(3):
                send(make_letter(), TELEGRAM)

    assert (len(made), len(sessions)) == (3, 1)


def test_it_keeps_the_answers_of_two_workers_apart() -> None:
    meet = threading.Barrier(2, timeout=10)
    errors: dict[str, TransportError] = {}

    def reply(request: requests.PreparedRequest) -> requests.Response:
        meet.wait()  # both are on their way
        status = 403 if read(request)["chat_id"] == 1 else 429
        return telegram_says(status, "bot was blocked")(request)

    def work(chat_id: str) -> None:
        try:
            transports()["telegram"].send(make_letter(), {**TELEGRAM, "chat_id": chat_id})
        except TransportError as error:
            errors[chat_id] = error

    with answered_by(reply):
        workers = [threading.Thread(target=work, args=(chat,)) for chat in ("1", "2")]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(10)

    assert (errors["1"].is_gone, errors["2"].permanent) == (True, False)


def test_it_goes_on_after_a_letter_that_was_refused() -> None:
    statuses = iter([400, 200])

    def reply(request: requests.PreparedRequest) -> requests.Response:
        return telegram_says(next(statuses), "Bad Request")(request)

    with answered_by(reply) as made, transports()["telegram"].opened() as send:
        with pytest.raises(TransportError):
            send(make_letter(), TELEGRAM)
        send(make_letter(), TELEGRAM)

    assert len(made) == 2


def test_it_says_so_when_what_was_stored_is_no_longer_valid() -> None:
    with answered_by(answer(200)) as made, pytest.raises(TransportError) as caught:
        transports()["telegram"].send(make_letter(), {**TELEGRAM, "bot_token": "sesame"})

    assert made == []
    assert (caught.value.permanent, caught.value.is_gone) == (True, True)
    assert "sesame" not in f"{caught.value!r} {caught.value.__context__!r}"


def test_it_leaves_others_who_use_apprise_alone() -> None:
    with apprise_link.opened("telegram:NotifyTelegram"):
        inside: Any = importlib.import_module("apprise.plugins.telegram").requests

    with answered_by(answer(418)):
        # Outside of an exchange it is `requests`, with its own answers and errors.
        assert inside.post("https://example.com", timeout=1).status_code == 418
    assert inside.codes is requests.codes


def test_it_burdens_no_page_with_apprise() -> None:
    program = """
import sys, django
django.setup()
from notifications.transports import transports
for transport in transports().values():
    print(transport.label)
assert "apprise" not in sys.modules
"""
    said = subprocess.run(  # noqa: S603  # our own words
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )

    assert said.returncode == 0, said.stderr
    assert "Telegram" in said.stdout


@pytest.mark.parametrize(
    ("name", "reply", "sentence"),
    [
        ("telegram", telegram_says(429, "Too Many Requests"), "said 429: Too Many Requests"),
        ("discord", answer(500), "Discord said 500."),
        ("slack", answer(503), "Slack said 503."),
    ],
)
def test_it_says_what_was_answered_in_one_way(name: str, reply: Reply, sentence: str) -> None:
    with answered_by(reply), pytest.raises(TransportError) as caught:
        transports()[name].send(make_letter(), ALL[name])

    assert sentence in str(caught.value)
