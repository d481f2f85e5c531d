"""Notifications into a Discord channel, by a webhook of that channel."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from notifications.delivering.chat_text import Markup, compose
from notifications.delivering.chats import Answer, ChatMessage, ChatTransport, read_json
from notifications.delivering.letters import Letter
from notifications.delivering.transport import CredentialField, Credentials

_MARKED = re.compile(r"([\\*_~`|>\[\]()<#:@-])")
MARKUP = Markup(
    longest=2000,
    escape=lambda text: _MARKED.sub(r"\\\1", text),
    bold=lambda text: f"**{text}**",
    link=lambda text, url: f"[{text}](<{url}>)",
)
_WEBHOOK = re.compile(
    r"https://(?:(?:ptb|canary)\.)?discord(?:app)?\.com/api/(?:v[0-9]{1,2}/)?webhooks/"
    r"(?P<id>[0-9]{17,20})/(?P<token>[A-Za-z0-9_-]{60,100})/?(?:\?thread_id=[0-9]{17,20})?",
    re.ASCII,
)
SUPPRESS_EMBEDS = 4


class DiscordTransport(ChatTransport):
    name = "discord"
    label = "Discord"
    icon = "discord"
    about = (
        "Into a channel of a Discord server. In the channel's settings open Integrations, then "
        "Webhooks, make a new one and copy its URL."
    )
    after_a_crash = (
        "It may arrive twice: Discord has no way to ask whether a message arrived. The same "
        "holds when its answer gets lost."
    )
    order = 21
    service = "discord:NotifyDiscord"
    fields = (
        CredentialField(
            name="webhook_url",
            label="Webhook URL",
            help_text="Whoever has it can write into the channel. "
            "For a thread, append ?thread_id= and its number.",
            placeholder="https://discord.com/api/webhooks/…",
        ),
    )
    forms = {
        "webhook_url": (
            _WEBHOOK,
            "A webhook of Discord begins with https://discord.com/api/webhooks/ and has a number "
            "and a token behind it.",
        ),
    }

    def hint(self, credentials: Credentials) -> str:
        webhook, _ = _parts(credentials)
        return f"Webhook {webhook}"

    def make(self, plugin: Callable[..., Any], credentials: Credentials) -> Any:
        webhook, token = _parts(credentials)
        [thread] = parse_qs(urlsplit(credentials["webhook_url"]).query).get("thread_id", [None])
        return plugin(
            webhook_id=webhook,
            webhook_token=token,
            avatar=False,
            flags=SUPPRESS_EMBEDS,
            thread=thread,
        )

    def message(self, letter: Letter) -> ChatMessage:
        # An account may be called @everyone.
        return ChatMessage(
            {"body": compose(letter, MARKUP)}, extra={"allowed_mentions": {"parse": []}}
        )

    def reason(self, answer: Answer) -> str:
        return str(read_json(answer.text).get("message", ""))

    def is_gone(self, answer: Answer) -> bool:
        return answer.status in (401, 403, 404)

    def secrets(self, credentials: Credentials) -> list[str]:
        return [*super().secrets(credentials), _parts(credentials)[1]]


TRANSPORT = DiscordTransport()


def _parts(credentials: Credentials) -> tuple[str, str]:
    found = _WEBHOOK.fullmatch(credentials["webhook_url"])
    return (found["id"], found["token"]) if found else ("", "")
