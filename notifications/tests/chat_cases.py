"""Credentials of the chats, their answers, and what goes out to them."""

import json
from typing import Any

import requests

from notifications.delivering.letters import Letter
from notifications.tests.http_edge import Reply, answer, answered_by
from notifications.tests.transport_contract import make_letter
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


def telegram_says(status: int, words: str, **parameters: object) -> Reply:
    said = {"ok": False, "error_code": status, "description": words, "parameters": parameters}
    return answer(status, json.dumps(said))


def send_one(name: str, letter: Letter | None = None, **changes: str) -> requests.PreparedRequest:
    """Send a letter and return the one request that it made."""
    accepts = answer(200, "ok" if name == "slack" else '{"ok": true}')
    with answered_by(accepts) as made:
        transports()[name].send(letter or make_letter(), {**ALL[name], **changes})
    [request] = made
    return request


def read(request: requests.PreparedRequest) -> Any:
    assert isinstance(request.body, str)
    return json.loads(request.body)
