"""What the settings ask for; the file is executed as a process of that environment would."""

import runpy
from pathlib import Path
from typing import Any

import environ
import pytest
from django.core.exceptions import ImproperlyConfigured

SETTINGS = Path(__file__).resolve().parents[1] / "settings.py"
PRODUCTION = {
    "TRADEGUARD_MODE": "production",
    "SECRET_KEY": "s" * 50,
    "TRADEGUARD_MASTER_KEY": "m" * 50,
    "DATABASE_URL": "postgres://desk@db.example.com/desk",
    "REDIS_URL": "redis://redis.example.com:6379/0",
    "ALLOWED_HOSTS": "desk.example.com",
    "EMAIL_URL": "smtp+tls://desk:secret@mail.example.com:587",
    "DEFAULT_FROM_EMAIL": "desk@example.com",
    "PUBLIC_URL": "https://desk.example.com",
    "TERMINAL_HOSTS": "desk-1,desk-2",
}


def settings_in(
    monkeypatch: pytest.MonkeyPatch, home: Path, environment: dict[str, str]
) -> dict[str, Any]:
    given = {**environment, "TRADEGUARD_HOME": str(home)}
    monkeypatch.setattr(environ.Env, "ENVIRON", given)
    return runpy.run_path(str(SETTINGS))


def test_it_takes_a_whole_production_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = settings_in(monkeypatch, tmp_path, PRODUCTION)
    assert settings["SECURE_SSL_REDIRECT"] is True
    assert settings["TERMINAL_HOSTS"] == ["desk-1", "desk-2"]
    assert not (tmp_path / "secrets.env").exists()


@pytest.mark.parametrize("missing", sorted(PRODUCTION.keys() - {"TRADEGUARD_MODE"}))
def test_it_names_what_production_lacks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, missing: str
) -> None:
    environment = {name: value for name, value in PRODUCTION.items() if name != missing}
    with pytest.raises(ImproperlyConfigured, match=missing):
        settings_in(monkeypatch, tmp_path, environment)


@pytest.mark.parametrize("name", ["SECRET_KEY", "TRADEGUARD_MASTER_KEY"])
def test_it_refuses_short_secrets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    with pytest.raises(ImproperlyConfigured, match=f"{name} needs at least 32"):
        settings_in(monkeypatch, tmp_path, {**PRODUCTION, name: "s" * 31})


def test_it_refuses_an_unknown_mode(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(ImproperlyConfigured, match="'prod'"):
        settings_in(monkeypatch, tmp_path, {**PRODUCTION, "TRADEGUARD_MODE": "prod"})


def test_it_needs_nothing_when_embedded_and_keeps_its_secrets_private(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = settings_in(monkeypatch, tmp_path, {})
    secrets = tmp_path / "secrets.env"
    assert secrets.stat().st_mode & 0o077 == 0
    assert first["PUBLIC_URL"] == "http://127.0.0.1:8000"
    again = settings_in(monkeypatch, tmp_path, {"PORT": "nine"})
    assert again["SECRET_KEY"] == first["SECRET_KEY"]
    assert again["PUBLIC_URL"] == "http://127.0.0.1:nine"  # `serve` says what is wrong with it


def test_it_verifies_addresses_in_production_and_trusts_them_when_embedded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    production = settings_in(monkeypatch, tmp_path, PRODUCTION)
    assert production["ACCOUNT_EMAIL_VERIFICATION"] == "mandatory"
    assert production["MFA_ALLOW_UNVERIFIED_EMAIL"] is False
    assert production["SESSION_COOKIE_SECURE"] is production["CSRF_COOKIE_SECURE"] is True
    assert production["SECURE_HSTS_SECONDS"] == 31_536_000
    embedded = settings_in(monkeypatch, tmp_path, {})
    assert embedded["ACCOUNT_EMAIL_VERIFICATION"] == "optional"
    with pytest.raises(ImproperlyConfigured, match="EMAIL_VERIFICATION"):
        settings_in(monkeypatch, tmp_path, {**PRODUCTION, "EMAIL_VERIFICATION": "none"})


@pytest.mark.parametrize("limit", ["10", "10/5min", "0/60", "10/0", "-1/60", ""])
def test_it_refuses_limits_of_attempts_that_count_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, limit: str
) -> None:
    with pytest.raises(ImproperlyConfigured, match="ATTEMPTS_PER_NAME"):
        settings_in(monkeypatch, tmp_path, {**PRODUCTION, "ATTEMPTS_PER_NAME": limit})


@pytest.mark.parametrize("limit", ["many", "60", "0/min", "60/fortnight", "60/min/user"])
def test_it_refuses_a_throttle_that_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, limit: str
) -> None:
    with pytest.raises(ImproperlyConfigured, match="THROTTLE_USER"):
        settings_in(monkeypatch, tmp_path, {**PRODUCTION, "THROTTLE_USER": limit})
