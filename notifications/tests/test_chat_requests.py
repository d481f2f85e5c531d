"""Each chat is asked for exactly what its documentation says."""

import base64
from urllib.parse import parse_qs

import pytest

from notifications.tests.chat_cases import (
    ACCOUNT_SID,
    ALL,
    AUTH_TOKEN,
    DISCORD,
    SLACK,
    TOKEN,
    read,
    send_one,
)
from notifications.tests.transport_contract import make_digest, make_letter


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
    request = send_one("sms", api_key=api_key)

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
