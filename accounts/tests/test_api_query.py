"""A list refuses a query that it does not understand; it never shows everything instead."""

import pytest

from accounts.models import User
from accounts.tests.api_clients import Client, client_of
from accounts.tests.factories import make_account


@pytest.fixture
def api(alice: User) -> Client:
    make_account(alice, "Alpha", is_demo=False)
    make_account(alice, "Beta", is_demo=True)
    return client_of(alice)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("page_size=0", "page_size"),
        ("page_size=-1", "page_size"),
        ("page_size=many", "page_size"),
        ("page_size=²", "page_size"),
        ("ordering=api_key__secret", "ordering"),
        ("ordering=name,password", "ordering"),
        ("ordering=--name", "ordering"),
        ("is_demo=perhaps", "is_demo"),
        ("login=1.5", "login"),
        ("group=1", "group"),
    ],
)
def test_it_names_what_it_does_not_understand(api: Client, query: str, field: str) -> None:
    answer = api.ask("GET", f"accounts?{query}")
    assert answer.status_code == 400
    assert set(answer.json()["error"]["fields"]) == {field}


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("is_demo=true", ["Beta"]),
        ("is_demo=True", ["Beta"]),
        ("is_demo=1", ["Beta"]),
        ("is_demo=false", ["Alpha"]),
        ("is_demo=0", ["Alpha"]),
        ("is_demo=", ["Alpha", "Beta"]),
        ("page_size=1", ["Alpha"]),
        ("page_size=", ["Alpha", "Beta"]),
        ("ordering=-name", ["Beta", "Alpha"]),
        ("ordering=", ["Alpha", "Beta"]),
    ],
)
def test_it_shows_what_was_asked_for(api: Client, query: str, names: list[str]) -> None:
    answer = api.ask("GET", f"accounts?{query}")
    assert [row["name"] for row in answer.json()["results"]] == names
