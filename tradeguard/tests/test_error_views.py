import pytest
from django.test import Client

pytestmark = pytest.mark.django_db


def test_an_unknown_api_address_answers_in_the_api_shape(client: Client) -> None:
    answer = client.get("/api/v1/nothing-here")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


def test_an_unknown_page_answers_with_a_page(client: Client) -> None:
    answer = client.get("/nothing-here")
    assert answer.status_code == 404
    assert b"<html" in answer.content


@pytest.mark.parametrize(("path", "is_json"), [("/api/v1/auth/token", True), ("/login", False)])
def test_a_failure_shows_nothing_of_its_cause(
    path: str, is_json: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object, **_kwargs: object) -> None:
        raise ZeroDivisionError("secret cause")

    monkeypatch.setattr("django.core.handlers.base.BaseHandler.resolve_request", fail)
    answer = Client(raise_request_exception=False).get(path)
    assert answer.status_code == 500
    assert b"secret cause" not in answer.content
    assert (
        "error" in answer.content.decode() and answer["Content-Type"].startswith("application/json")
    ) is is_json
