"""Notifications as text messages to a phone, by the user's own account at Twilio."""

import re
from collections.abc import Callable
from typing import Any

from notifications.delivering.chats import Answer, ChatMessage, ChatTransport, read_json
from notifications.delivering.letters import Letter
from notifications.delivering.sms_text import compose
from notifications.delivering.transport import CredentialField, Credentials

_ANY_NUMBER = "+15005550006"
_NUMBER = re.compile(r"\+[1-9][0-9]{7,14}", re.ASCII)
# https://www.twilio.com/docs/api/errors: what no later attempt changes
_GONE_CODES = frozenset(
    {
        20003,  # authentication
        20005,  # account not active
        20404,  # no such account
        21211,  # not a phone number
        21212,  # not a number to send from
        21408,  # no permission for the country
        21606,  # the sender cannot send there
        21608,  # trial account, number not verified
        21610,  # the receiver said STOP
        21612,  # no way between the two numbers
        21614,  # not a mobile phone
        21659,  # the sender is not the account's
        21660,
    }
)


class SmsTransport(ChatTransport):
    name = "sms"
    label = "SMS"
    icon = "sms"
    about = (
        "To a phone, by your own account at twilio.com, which charges you for each message. Its "
        "console shows account SID, auth token and your Twilio number."
    )
    after_a_crash = (
        "It may arrive twice, and is charged twice: Twilio has no way to keep a message from "
        "being sent again. The same holds when its answer gets lost."
    )
    default_minimum = "urgent"
    order = 30
    service = "twilio:NotifyTwilio"
    fields = (
        CredentialField(
            name="to_number",
            label="Phone number",
            help_text="With the country's code.",
            placeholder="+420601234567",
        ),
        CredentialField(
            name="from_number",
            label="Twilio number",
            help_text="The number at Twilio that sends.",
            is_secret=False,
            placeholder="+15005550006",
        ),
        CredentialField(
            name="account_sid",
            label="Account SID",
            is_secret=False,
            placeholder="AC…",
        ),
        CredentialField(name="auth_token", label="Auth token or secret of the API key"),
        CredentialField(
            name="api_key",
            label="API key",
            help_text="Better than the auth token, since it can be revoked by itself.",
            is_secret=False,
            is_required=False,
            placeholder="SK…",
        ),
    )
    forms = {
        "to_number": (_NUMBER, "A number is a plus, the country's code and digits, without gaps."),
        "from_number": (
            _NUMBER,
            "A number is a plus, the country's code and digits, without gaps.",
        ),
        "account_sid": (
            re.compile(r"AC[0-9a-f]{32}", re.ASCII),
            "An account SID is AC and 32 digits from 0 to f.",
        ),
        "auth_token": (
            re.compile(r"[A-Za-z0-9]{32}", re.ASCII),
            "An auth token has 32 letters and digits.",
        ),
        "api_key": (
            re.compile(r"SK[0-9a-f]{32}", re.ASCII),
            "An API key is SK and 32 digits from 0 to f.",
        ),
    }

    def hint(self, credentials: Credentials) -> str:
        return f"To …{credentials['to_number'][-3:]} from {credentials['from_number']}"

    def make(self, plugin: Callable[..., Any], credentials: Credentials) -> Any:
        made = plugin(
            account_sid=credentials["account_sid"],
            auth_token=credentials["auth_token"],
            source=_ANY_NUMBER,
            apikey=credentials.get("api_key") or None,
        )
        # Past Apprise, which takes no number of 10 digits (Denmark) and none of 15.
        made.source = credentials["from_number"]
        made.targets = [(made.default_mode, credentials["to_number"])]
        return made

    def message(self, letter: Letter) -> ChatMessage:
        return ChatMessage({"body": compose(letter)})

    def reason(self, answer: Answer) -> str:
        said = read_json(answer.text)
        return f"{said.get('message', '')} ({said['code']})" if "code" in said else ""

    def is_gone(self, answer: Answer) -> bool:
        return answer.status == 401 or read_json(answer.text).get("code") in _GONE_CODES


TRANSPORT = SmsTransport()
