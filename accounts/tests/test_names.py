"""What people call things is shown in e-mails' subjects, logs and sentences: one plain line."""

import pytest
from django.core.exceptions import ValidationError

from accounts.models import Tag, User
from accounts.models.text import validate_one_line
from accounts.services.tags import tags_named
from accounts.tests.api_clients import client_of
from accounts.tests.factories import make_account

WRONG = ["two\nlines", "a\r\nSet-Cookie: x=1", "nul\x00", "bell\x07", "line\u2028", "\u202etxet"]
GOOD = ["Alpha 1", "Čáp & Söhne", "金のグループ", "عربي", "👩‍💻 desk", "a\u00a0b", "<b>"]


@pytest.mark.parametrize("name", WRONG)
def test_it_refuses_what_is_more_than_one_line(name: str) -> None:
    with pytest.raises(ValidationError):
        validate_one_line(name)


@pytest.mark.parametrize("name", GOOD)
def test_it_takes_any_script(name: str) -> None:
    validate_one_line(name)


@pytest.mark.django_db
@pytest.mark.parametrize("field", ["name", "broker", "server"])
def test_it_names_the_field_of_an_account(alice: User, field: str) -> None:
    account = make_account(alice)
    answer = client_of(alice).ask("PATCH", f"accounts/{account.pk}", {field: "two\nlines"})
    assert answer.status_code == 400
    assert "one line" in answer.json()["error"]["fields"][field][0]


@pytest.mark.django_db
@pytest.mark.parametrize(("path", "more"), [("groups", {}), ("risk-rules", {"limit": "5"})])
def test_it_names_the_field_of_groups_and_rules(
    alice: User, path: str, more: dict[str, str]
) -> None:
    body = {"name": "two\nlines", "rule_type": "POSITION_LIMIT", **more}
    answer = client_of(alice).ask("POST", path, body)
    assert answer.status_code == 400
    assert "one line" in answer.json()["error"]["fields"]["name"][0]


@pytest.mark.django_db
def test_it_makes_no_tag_of_two_lines(alice: User) -> None:
    with pytest.raises(ValidationError, match="one line"):
        tags_named(user=alice, names=["fine", "two\nlines"])
    assert not Tag.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("currency", "status"), [("USD", 200), ("USDT", 200), ("usd", 400), ("<b>", 400), ("U", 400)]
)
def test_it_takes_currencies_as_brokers_write_them(alice: User, currency: str, status: int) -> None:
    account = make_account(alice)
    answer = client_of(alice).ask("PATCH", f"accounts/{account.pk}", {"currency": currency})
    assert answer.status_code == status
