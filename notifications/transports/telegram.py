"""Notifications by a Telegram bot of the user's own."""

import html
import re
from collections.abc import Callable
from typing import Any

from notifications.delivering.chat_text import Markup, compose
from notifications.delivering.chats import Answer, ChatMessage, ChatTransport, read_json
from notifications.delivering.letters import Letter
from notifications.delivering.transport import CredentialField, Credentials

# https://core.telegram.org/bots/api#sendmessage: 4096 after the markup is read
MARKUP = Markup(
    longest=4096,
    escape=lambda text: html.escape(text, quote=False),
    bold=lambda text: f"<b>{text}</b>",
    link=lambda text, url: f'<a href="{html.escape(url)}">{text}</a>',
)
# What the answers to requests that cannot succeed any more have in them.
_GONE_WORDS = (
    "chat not found",
    "bot was blocked",
    "bot was kicked",
    "bot can't initiate",
    "bot is not a member",
    "user is deactivated",
    "chat was deleted",
    "chat was upgraded",
    "group chat was upgraded",
    "message thread not found",
    "need administrator rights",
    "not enough rights",
    "have no rights",
)


class TelegramTransport(ChatTransport):
    name = "telegram"
    label = "Telegram"
    icon = "telegram"
    about = (
        "By a bot of your own. Write to @BotFather, send /newbot, and copy the token that it gives "
        "you. Then write something to your bot, or add it to a group, and enter the number of that "
        "chat: @userinfobot tells you your own."
    )
    after_a_crash = (
        "It may arrive twice: Telegram has no way to ask whether a message arrived. The same "
        "holds when its answer gets lost."
    )
    order = 20
    service = "telegram:NotifyTelegram"
    fields = (
        CredentialField(
            name="bot_token",
            label="Bot token",
            help_text="From @BotFather.",
            placeholder="123456789:AAE…",
        ),
        CredentialField(
            name="chat_id",
            label="Chat",
            help_text="The number of a chat or group (groups begin with a minus), "
            "or a channel's @name.",
            is_secret=False,
            placeholder="-1001234567890",
        ),
        CredentialField(
            name="topic_id",
            label="Topic",
            help_text="In a group with topics: the number of the topic.",
            is_secret=False,
            is_required=False,
        ),
    )
    forms = {
        "bot_token": (
            re.compile(r"[0-9]{6,16}:[A-Za-z0-9_-]{30,64}", re.ASCII),
            "A bot token is a number, a colon and about 35 letters and digits.",
        ),
        "chat_id": (
            re.compile(r"-?[1-9][0-9]{0,18}|@[A-Za-z][A-Za-z0-9_]{3,31}", re.ASCII),
            "A chat is a number, such as 4711 or -1001234567890, or a channel's @name.",
        ),
        "topic_id": (re.compile(r"[1-9][0-9]{0,9}", re.ASCII), "A topic is a number."),
    }

    def hint(self, credentials: Credentials) -> str:
        bot = credentials["bot_token"].partition(":")[0]
        topic = f", topic {credentials['topic_id']}" if credentials.get("topic_id") else ""
        return f"Chat {credentials['chat_id']}{topic} by bot {bot}"

    def make(self, plugin: Callable[..., Any], credentials: Credentials) -> Any:
        return plugin(
            bot_token=credentials["bot_token"],
            targets=[credentials["chat_id"]],
            topic=credentials.get("topic_id") or None,
            detect_owner=False,
        )

    def message(self, letter: Letter) -> ChatMessage:
        return ChatMessage({"body": compose(letter, MARKUP)})

    def reason(self, answer: Answer) -> str:
        said = read_json(answer.text)
        words = str(said.get("description", ""))
        parameters = said.get("parameters")
        if isinstance(parameters, dict) and "migrate_to_chat_id" in parameters:
            return f"{words}. The chat is {parameters['migrate_to_chat_id']} now."
        return words

    def is_gone(self, answer: Answer) -> bool:
        # 404 is Telegram's word for a token that is none.
        if answer.status in (401, 404):
            return True
        reason = self.reason(answer).lower()
        return any(words in reason for words in _GONE_WORDS)


TRANSPORT = TelegramTransport()
