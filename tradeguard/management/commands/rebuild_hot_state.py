from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from redis import RedisError

from accounts.redis import portfolio_written_key, redis_client
from tradeguard.tick.hot_keys import MirroredKeys

# Only a terminal knows what is in these: the host's next tick writes them, from fresh readings.
_OF_TERMINALS = (
    "user_portfolio:*",
    "user_holdings:*",
    "user_orders_index:*",
    "user:*:config",
    "symbol_holders:*",
    "market:*",
)
_MIRRORED = (
    "copy_master_followers:*",
    "copy_follower_master:*",
    "order_data:*",
    "order_triggers:*",
)
_REGISTERS = ("copies_written:*", "orders_written:*")
_AT_ONCE = 500


class Command(BaseCommand):
    help = (
        "Write the hot state in Redis anew: who copies whom and orders on their way from the"
        " database, what accounts hold from the next tick of their hosts. Harmless while workers"
        " run: until then nothing is known, which is never taken for nothing held."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--keep-holdings",
            action="store_true",
            help="Leave what the ticks wrote; only the keys of the database are written anew.",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            removed = self._remove(holdings=not options["keep_holdings"])
            now = timezone.now()
            written = sum(MirroredKeys(host).write(now) for host in settings.TERMINAL_HOSTS)
        except RedisError as error:
            raise CommandError(f"Redis cannot be reached: {error}") from error
        self.stdout.write(f"{removed} keys removed, {written} written from the database.")
        if not options["keep_holdings"]:
            self.stdout.write("What accounts hold is written by the next tick of each host.")

    def _remove(self, *, holdings: bool) -> int:
        removed = sum(map(_delete, (*_MIRRORED, *_REGISTERS)))
        if holdings:
            removed += sum(map(_delete, _OF_TERMINALS))
            # A host that misses its register writes everything again.
            for host in settings.TERMINAL_HOSTS:
                redis_client().delete(portfolio_written_key(host))
        return removed


def _delete(pattern: str) -> int:
    """Delete what matches, a little at a time; return how much that was."""
    count = 0
    keys: list[bytes] = []
    for key in redis_client().scan_iter(match=pattern, count=_AT_ONCE):
        keys.append(key)
        if len(keys) >= _AT_ONCE:
            count += _delete_keys(keys)
            keys = []
    return count + _delete_keys(keys)


def _delete_keys(keys: list[bytes]) -> int:
    pipeline = redis_client().pipeline(transaction=False)
    for key in keys:
        pipeline.delete(key)
    return sum(pipeline.execute()) if keys else 0
