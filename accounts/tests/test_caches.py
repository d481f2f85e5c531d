import pytest
from django.core.cache import caches
from redis import Redis


@pytest.mark.parametrize("name", ["default", "attempts"])
def test_it_keeps_plain_values_and_runs_nothing_that_lies_in_redis(name: str, redis: Redis) -> None:
    cache = caches[name]
    for value in (3, 1.5, True, None, "text", [1.5, 2.5], {"a": [1]}):
        cache.set("key", value, 60)
        assert cache.get("key", "missing") == value
    cache.set("count", 1, 60)
    assert cache.incr("count") == 2
    redis.set(cache.make_key("key"), "cbuiltins\nprint\n(S'run'\ntR.")  # a pickle
    with pytest.raises(ValueError, match="Expecting value"):
        cache.get("key")
