"""What is left of those who were signed in once."""

from datetime import UTC, datetime, timedelta

import time_machine
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.test import Client

from accounts.models import User
from accounts.models.session import ProgramSession
from accounts.tasks import forget_sessions
from accounts.tests.way_in import ask_for_token, is_signed_in, sign_in


def test_sessions_that_are_over_are_forgotten(alice: User) -> None:
    ended, lasting = Client(), Client()
    with time_machine.travel(datetime(2026, 3, 2, tzinfo=UTC), tick=False) as clock:
        sign_in(ended)
        ask_for_token()
        clock.shift(timedelta(days=30))
        sign_in(lasting)
        ask_for_token()
        clock.shift(timedelta(days=7) - timedelta(seconds=1))
        forget_sessions()
        assert Session.objects.count() == UserSession.objects.filter(user=alice).count() == 1
        assert is_signed_in(lasting)
        assert ProgramSession.objects.count() == 2
        clock.shift(timedelta(seconds=2))
        forget_sessions()
        assert ProgramSession.objects.count() == 1
        logged_out = Session.objects.get()
        logged_out.delete()
        forget_sessions()
        assert not UserSession.objects.exists()
