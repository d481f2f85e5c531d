"""Notifications into a Slack channel, by an incoming webhook."""

import html
import re
from collections.abc import Callable
from typing import Any

from notifications.delivering.chat_text import Markup, details, headline
from notifications.delivering.chats import Answer, ChatMessage, ChatTransport
from notifications.delivering.letters import Letter
from notifications.delivering.transport import CredentialField, Credentials

# Slack's own marks have no escapes: a joiner of no width before one keeps it a plain sign.
_MARKED = re.compile(r"([*_~`])")
_JOINER = "\u2060"
# https://docs.slack.dev/reference/block-kit/blocks/section-block: 3000
MARKUP = Markup(
    longest=3000,
    escape=lambda text: _MARKED.sub(rf"{_JOINER}\1", html.escape(text, quote=False)),
    bold=lambda text: f"*{text}*",
    link=lambda text, url: f"<{html.escape(url, quote=False)}|{text}>",
)
_WEBHOOK = re.compile(
    r"https://hooks\.slack\.com/services/"
    r"(?P<a>T[A-Z0-9]{6,14})/(?P<b>B[A-Z0-9]{6,14})/(?P<c>[A-Za-z0-9]{20,32})/?",
    re.ASCII,
)
_GONE_WORDS = frozenset(
    {
        "invalid_token",
        "no_active_hooks",
        "no_service",
        "no_service_id",
        "no_team",
        "team_disabled",
        "channel_not_found",
        "channel_is_archived",
        "action_prohibited",
        "posting_to_general_channel_denied",
        "user_not_found",
    }
)


class SlackTransport(ChatTransport):
    name = "slack"
    label = "Slack"
    icon = "slack"
    about = (
        "Into a channel of a Slack workspace. Make an app at api.slack.com/apps, switch on its "
        "Incoming Webhooks, add one to the channel and copy its URL."
    )
    after_a_crash = (
        "It may arrive twice: Slack has no way to ask whether a message arrived. The same holds "
        "when its answer gets lost."
    )
    order = 22
    service = "slack:NotifySlack"
    fields = (
        CredentialField(
            name="webhook_url",
            label="Webhook URL",
            help_text="Whoever has it can write into the channel.",
            placeholder="https://hooks.slack.com/services/T…/B…/…",
        ),
    )
    forms = {
        "webhook_url": (
            _WEBHOOK,
            "An incoming webhook of Slack looks like https://hooks.slack.com/services/T…/B…/… .",
        ),
    }

    def hint(self, credentials: Credentials) -> str:
        team, hook, _ = _parts(credentials)
        return f"Webhook {hook} of workspace {team}"

    def make(self, plugin: Callable[..., Any], credentials: Credentials) -> Any:
        team, hook, token = _parts(credentials)
        return plugin(
            token_a=team,
            token_b=hook,
            token_c=token,
            use_blocks=True,
            include_image=False,
            include_footer=False,
        )

    def message(self, letter: Letter) -> ChatMessage:
        return ChatMessage(
            {
                "body": details(letter, MARKUP, longest=MARKUP.longest),
                "body_format": "markdown",
                "notify_type": _kind(letter.priority),
            },
            # The title as the message's own text: a phone's preview shows that and no block.
            extra={"text": headline(letter, MARKUP), "unfurl_links": False, "unfurl_media": False},
        )

    def reason(self, answer: Answer) -> str:
        return answer.text

    def is_gone(self, answer: Answer) -> bool:
        return answer.status in (404, 410) or answer.text.strip() in _GONE_WORDS

    def secrets(self, credentials: Credentials) -> list[str]:
        return [*super().secrets(credentials), _parts(credentials)[2]]


TRANSPORT = SlackTransport()


def _parts(credentials: Credentials) -> tuple[str, str, str]:
    found = _WEBHOOK.fullmatch(credentials["webhook_url"])
    return (found["a"], found["b"], found["c"]) if found else ("", "", "")


def _kind(priority: str) -> str:
    return {"urgent": "failure", "high": "warning"}.get(priority, "info")
