"""The connection of a process to Redis, and the names of what TradeGuard keeps there."""

from functools import lru_cache
from uuid import UUID

from django.conf import settings
from redis import Redis

# Redis Cluster puts keys with the same {tag} on one node, so that one command can touch them all.


@lru_cache(maxsize=1)
def redis_client() -> "Redis":
    """Return the process's client; calls fail within a second when Redis is away."""
    return Redis.from_url(
        settings.REDIS_URL, socket_timeout=1.0, socket_connect_timeout=1.0, protocol=2
    )


def readings_key(host: str) -> str:
    return f"readings:{{{host}}}"


def tick_key(host: str) -> str:
    return f"tick:{{{host}}}"


def watched_key(kind: str) -> str:
    return f"watched:{kind}"


def sequences_key(kind: str) -> str:
    return f"sequences:{kind}"


def portfolio_written_key(host: str) -> str:
    return f"portfolio_written:{{{host}}}"


def portfolio_tag(role: str, account_id: UUID) -> str:
    return f"{{{role}:{account_id}}}"


def portfolio_key(role: str, account_id: UUID) -> str:
    return f"user_portfolio:{portfolio_tag(role, account_id)}"


def holding_key(role: str, account_id: UUID, ticket: int) -> str:
    return f"user_holdings:{portfolio_tag(role, account_id)}:{ticket}"


def orders_index_key(role: str, account_id: UUID) -> str:
    return f"user_orders_index:{portfolio_tag(role, account_id)}"


def account_config_key(role: str, account_id: UUID) -> str:
    return f"user:{portfolio_tag(role, account_id)}:config"


def symbol_holders_key(symbol: str, role: str) -> str:
    return f"symbol_holders:{symbol}:{role}"


def order_data_key(order: UUID) -> str:
    return f"order_data:{{{order}}}"


def order_triggers_key(order: UUID) -> str:
    return f"order_triggers:{{{order}}}"


def master_followers_key(provider_id: UUID) -> str:
    """Name the set of the accounts that copy a provider's opens."""
    return f"copy_master_followers:{{{provider_id}}}:active"


def follower_master_key(follower_id: UUID) -> str:
    """Name the set of the accounts that an account copies; mostly there is one."""
    return f"copy_follower_master:{{{follower_id}}}:provider_id"


def mirror_key(name: str, host: str) -> str:
    """Name the register of what a mirror of database rows has written for a host."""
    return f"{name}_written:{{{host}}}"


def market_key(server: str, symbol: str) -> str:
    return f"market:{{{server}:{symbol}}}"


PORTFOLIO_UPDATES = "portfolio_updates"
