"""Fixtures of every app's tests. The cast: alice owns, bob shares, charlie is a stranger."""

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.test import override_settings
from redis import Redis

from accounts.models import User
from accounts.tests.factories import make_user
from tradeguard.tests.flushing import let_tests_flush


@pytest.fixture(autouse=True, scope="session")
def _fast_passwords() -> Iterator[None]:
    """Hash the users' passwords cheaply; the vault's own stretching is cached per process."""
    hashers = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    with override_settings(PASSWORD_HASHERS=hashers):
        yield


@pytest.fixture(autouse=True, scope="session")
def _flushable_ledgers() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        let_tests_flush(patch)
        yield


@pytest.fixture(scope="session")
def _redis_of_the_session() -> Iterator[Redis]:
    with Redis.from_url(settings.REDIS_URL, decode_responses=True) as client:
        yield client


@pytest.fixture(autouse=True)
def _empty_redis(_redis_of_the_session: Redis) -> None:
    # Celery declares a queue once per connection; without its binding, messages would be dropped.
    keys = [
        key
        for key in _redis_of_the_session.scan_iter(count=1_000)
        if not key.startswith("celery:_kombu.binding.")
    ]
    if keys:
        _redis_of_the_session.delete(*keys)


@pytest.fixture
def redis(_redis_of_the_session: Redis) -> Redis:
    """Return a client of the tests' Redis, which is empty at the start of every test."""
    return _redis_of_the_session


@pytest.fixture
def alice(db: None) -> User:
    return make_user("alice")


@pytest.fixture
def bob(db: None) -> User:
    return make_user("bob")


@pytest.fixture
def charlie(db: None) -> User:
    return make_user("charlie")
