import base64
import importlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs

import pytest
import requests
from django.core.exceptions import ValidationError

from notifications.delivering import apprise_link
from notifications.delivering.transport import TransportError
from notifications.tests.http_edge import Reply, answer, answered_by, fail
from notifications.tests.transport_contract import (
    Behaviour,
    TransportContract,
    make_digest,
    make_letter,
)
from notifications.transports import transports

TOKEN = "123456789:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc"
HOOK_TOKEN = "kMrQ2x7v-Zb_N9tYwLpE4sJ8hGcU1oXiDfA5qVnR3eTyB6mKzWlPjSgHuCdOaFvI2bNx"
SLACK_TOKEN = "XyZ0123456789abcdefABCDE"
TELEGRAM = {"bot_token": TOKEN, "chat_id": "-1001234567890"}
DISCORD = {"webhook_url": f"https://discord.com/api/webhooks/112233445566778899/{HOOK_TOKEN}"}
SLACK = {"webhook_url": f"https://hooks.slack.com/services/T0AB12CD3/B0EF45GH6/{SLACK_TOKEN}"}
AUTH_TOKEN = "0123456789abcdef0123456789abcdee"
ACCOUNT_SID = "AC00112233445566778899aabbccddeeff"
SMS = {
    "to_number": "+420601234567",
    "from_number": "+15005550006",
    "account_sid": ACCOUNT_SID,
    "auth_token": AUTH_TOKEN,
}
ALL = {"telegram": TELEGRAM, "discord": DISCORD, "slack": SLACK, "sms": SMS}


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


def _telegram_says(status: int, words: str, **parameters: object) -> Reply:
    said = {"ok": False, "error_code": status, "description": words, "parameters": parameters}
    return answer(status, json.dumps(said))


class TestTelegramContract(ChatContract):
    name = "telegram"
    credentials = TELEGRAM
    secrets = (TOKEN, TOKEN.partition(":")[2])
    garbage = {"bot_token": "123456789:short", "chat_id": "alice", "topic_id": "first"}
    replies = {
        Behaviour.ACCEPTS: answer(200, '{"ok": true, "result": {}}'),
        Behaviour.IS_BUSY: _telegram_says(429, f"Too many: {TOKEN}", retry_after=17),
        Behaviour.REFUSES: _telegram_says(400, f"Bad Request: can't parse {TOKEN}"),
        Behaviour.IS_GONE: _telegram_says(403, f"Forbidden: bot was blocked by the user {TOKEN}"),
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


def send_one(name: str, letter: Any = None, **changes: str) -> requests.PreparedRequest:
    """Send a letter and return the one request that it made."""
    accepts = answer(200, "ok" if name == "slack" else '{"ok": true}')
    with answered_by(accepts) as made:
        transports()[name].send(letter or make_letter(), {**ALL[name], **changes})
    [request] = made
    return request


def read(request: requests.PreparedRequest) -> Any:
    assert isinstance(request.body, str)
    return json.loads(request.body)


def test_it_asks_telegram_for_exactly_this() -> None:
    request = send_one("telegram")

    assert request.method == "POST"
    assert request.url == f"https://api.telegram.org/bot{TOKEN}/sendMessage"
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["User-Agent"] == "TradeGuard"
    assert read(request) == {
        "chat_id": -1001234567890,
        "text": "<b>🔴 Daily loss limit broken: Alpha 3</b>\n"
        "Alpha 3 lost 5,012.40 USD of 5,000.00 today.\n\n"
        "20 Nov 2026, 13:00:00 CET\n"
        '<a href="https://desk.example.com/accounts/3">Open in TradeGuard</a>',
        "parse_mode": "HTML",
        "disable_notification": False,
        "disable_web_page_preview": True,
    }


def test_it_asks_telegram_for_a_topic_and_a_channel_by_name() -> None:
    said = read(send_one("telegram", chat_id="@alice_desk", topic_id="42"))

    assert (said["chat_id"], said["message_thread_id"]) == ("@alice_desk", 42)


def test_it_asks_discord_for_exactly_this() -> None:
    request = send_one("discord")

    assert request.method == "POST"
    assert request.url == DISCORD["webhook_url"]
    assert request.headers["Content-Type"] == "application/json; charset=utf-8"
    assert request.headers["User-Agent"] == "TradeGuard"
    assert read(request) == {
        "content": "**🔴 Daily loss limit broken\\: Alpha 3**\n"
        "Alpha 3 lost 5,012.40 USD of 5,000.00 today.\n\n"
        "20 Nov 2026, 13\\:00\\:00 CET\n"
        "[Open in TradeGuard](<https://desk.example.com/accounts/3>)",
        "allowed_mentions": {"parse": []},
        "flags": 4,
        "tts": False,
        "wait": True,
    }


def test_it_asks_discord_for_a_thread() -> None:
    url = f"{DISCORD['webhook_url']}?thread_id=223344556677889900"

    assert send_one("discord", webhook_url=url).url == url


def test_it_asks_slack_for_exactly_this() -> None:
    request = send_one("slack")

    assert request.method == "POST"
    assert request.url == SLACK["webhook_url"]
    assert request.headers["Content-Type"] == "application/json; charset=utf-8"
    assert request.headers["User-Agent"] == "TradeGuard"
    said = read(request)
    [attachment] = said.pop("attachments")
    assert said == {
        "text": "*🔴 Daily loss limit broken: Alpha 3*",
        "unfurl_links": False,
        "unfurl_media": False,
    }
    assert attachment.pop("color").startswith("#")
    assert attachment == {
        "blocks": [
            {
                "type": "section",
                "text": {
                    "type": "mrkdwn",
                    "text": "Alpha 3 lost 5,012.40 USD of 5,000.00 today.\n\n"
                    "20 Nov 2026, 13:00:00 CET\n"
                    "<https://desk.example.com/accounts/3|Open in TradeGuard>",
                },
            }
        ]
    }


@pytest.mark.parametrize("api_key", ["", "SK00112233445566778899aabbccddeeff"])
def test_it_asks_twilio_for_exactly_this(api_key: str) -> None:
    request = send_one("sms", **({"api_key": api_key} if api_key else {}))

    assert request.method == "POST"
    url = f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"
    assert request.url == url
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert request.headers["User-Agent"] == "TradeGuard"
    pair = f"{api_key or ACCOUNT_SID}:{AUTH_TOKEN}"
    assert request.headers["Authorization"] == f"Basic {base64.b64encode(pair.encode()).decode()}"
    assert isinstance(request.body, str)
    assert parse_qs(request.body) == {
        "From": ["+15005550006"],
        "To": ["+420601234567"],
        "Body": [
            "TradeGuard: Daily loss limit broken: Alpha 3\n"
            "Alpha 3 lost 5,012.40 USD of 5,000.00 today."
        ],
    }


@pytest.mark.parametrize("number", ["+4512345678", "+42060123456789", "+123456789012345"])
def test_it_sends_from_and_to_numbers_of_any_country(number: str) -> None:
    request = send_one("sms", to_number=number, from_number=number)

    assert isinstance(request.body, str)
    said = parse_qs(request.body)
    assert (said["To"], said["From"]) == ([number], [number])


@pytest.mark.parametrize(
    ("name", "reply", "seconds"),
    [
        ("telegram", _telegram_says(429, "Too Many Requests", retry_after=17), 17),
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
        ("telegram", _telegram_says(401, "Unauthorized"), True, True),
        ("telegram", _telegram_says(404, "Not Found"), True, True),
        ("telegram", _telegram_says(400, "Bad Request: chat not found"), True, True),
        ("telegram", _telegram_says(400, "Bad Request: message is too long"), True, False),
        ("telegram", _telegram_says(403, "Forbidden: user is deactivated"), True, True),
        ("telegram", answer(502, "<html>Bad Gateway</html>"), False, False),
        ("telegram", answer(302, "", {"Location": "https://evil.example"}), False, False),
        ("discord", answer(401, '{"message": "Invalid Webhook Token"}'), True, True),
        ("discord", answer(500, "[1]"), False, False),
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


def test_it_says_where_a_telegram_group_went() -> None:
    reply = _telegram_says(400, "Bad Request: group chat was upgraded", migrate_to_chat_id=-100777)

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


@pytest.mark.parametrize("name", list(ALL))
def test_it_lets_no_text_become_markup_or_a_mention(name: str) -> None:
    evil = '<b>&*x* _y_ `z` ~~q~~ [a](http://b) <!channel> <@U1> @everyone | "\\'
    request = send_one(name, make_letter(title=evil, body=evil, url="https://x.y/a)|>\"<'b c"))

    said = parse_qs(str(request.body))["Body"][0] if name == "sms" else str(read(request))
    if name == "telegram":
        assert "&lt;b&gt;&amp;*x*" in said
        assert 'href="https://x.y/a%29%7C%3E%22%3C&#x27;b%20c"' in read(request)["text"]
    if name == "discord":
        assert read(request)["allowed_mentions"] == {"parse": []}
        assert r"\<b\>&\*x\* \_y\_ \`z\` \~\~q\~\~ \[a\]\(http\:" in read(request)["content"]
        assert "<@U1>" not in said
    if name == "slack":
        assert "<!channel>" not in said
        assert "<@U1>" not in said
        assert "&lt;b&gt;&amp;\u2060*x\u2060*" in read(request)["text"]
    if name == "sms":
        assert said.startswith("TradeGuard: <b>&*x* _y_")


def test_it_lists_what_was_gathered_and_counts_the_rest() -> None:
    said = read(send_one("telegram", make_digest(10_000)))["text"].splitlines()

    assert said[0] == "<b>🔴 10,000 notices within a minute</b>"
    assert said[1] == '13:00 <a href="https://desk.example.com/accounts/1">🔴 Notice 1</a>'
    assert said[2] == '12:59 <a href="https://desk.example.com/accounts/2">Notice 2</a>'
    assert said[21] == "… and 9,980 more"
    assert said[-1] == '<a href="https://desk.example.com/notifications">Open in TradeGuard</a>'


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
        with answered_by(reply) as made, transports()["telegram"].opened() as send:
            for _ in range(3):
                send(make_letter(), TELEGRAM)

    assert (len(made), len(sessions)) == (3, 1)
    assert len(sessions[0].cookies) == 0


def test_it_keeps_the_answers_of_two_workers_apart() -> None:
    meet = threading.Barrier(2, timeout=10)
    errors: dict[str, TransportError] = {}

    def reply(request: requests.PreparedRequest) -> requests.Response:
        meet.wait()  # both are on their way
        status = 403 if read(request)["chat_id"] == 1 else 429
        return _telegram_says(status, "bot was blocked")(request)

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
        return _telegram_says(next(statuses), "Bad Request")(request)

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
