import pytest
from django.test import Client

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_the_description_runs_no_inline_script(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    policy = answer["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "script-src" not in policy
    assert "googleapis" not in answer.content.decode()
    scripts = answer.content.decode().split("<script")[1:]
    assert scripts
    assert all("src=" in script.split(">")[0] for script in scripts)


def test_pages_that_name_no_icon_get_ours(client: Client) -> None:
    assert client.get("/favicon.ico")["Location"].endswith("/icons/shield.svg")
