"""The words of copy trading, known to tables and to the pure core alike."""

from enum import StrEnum


class Sizing(StrEnum):
    """How a follower's volume comes from the provider's; see `copytrade.core.sizing`."""

    EQUITY_RATIO = "equity_ratio"
    BALANCE_RATIO = "balance_ratio"
    FREE_MARGIN_RATIO = "free_margin_ratio"
    MULTIPLIER = "multiplier"
    FIXED_LOT = "fixed_lot"
    RISK_PERCENT = "risk_percent"


class BelowMinimum(StrEnum):
    """What becomes of a volume below the symbol's smallest."""

    SKIP = "skip"
    USE_MINIMUM = "use_minimum"


class Directions(StrEnum):
    BOTH = "both"
    BUY = "buy"
    SELL = "sell"


class OrderType(StrEnum):
    """How an order waits for its price; the words of an order's row."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"


class RelationshipState(StrEnum):
    """The words of a relationship's row."""

    OFFERED = "offered"
    DECLINED = "declined"
    ACTIVE = "active"
    PAUSED = "paused"
    CLOSE_ONLY = "close_only"
    TERMINATED = "terminated"


class HeldState(StrEnum):
    """Where a copied position stands; the words of its row."""

    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"
    LEFT = "left"
    KEPT = "kept"


class OrderKind(StrEnum):
    """What a planned order asks for; the words of an order's row."""

    OPEN = "open"
    PLACE = "place"
    MODIFY_ORDER = "modify_order"
    CANCEL = "cancel"
    MODIFY_POSITION = "modify_position"
    CLOSE = "close"


class EventKind(StrEnum):
    """What a provider did. OPEN also adds to a netted position; CLOSE leaves none of it."""

    OPEN = "open"
    PARTIAL_CLOSE = "partial_close"
    CLOSE = "close"
    STOPS = "stops"
    PENDING_PLACED = "pending_placed"
    PENDING_MODIFIED = "pending_modified"
    PENDING_CANCELLED = "pending_cancelled"
    PENDING_FILLED = "pending_filled"


class SkipReason(StrEnum):
    """Why an event was not copied to a follower."""

    PAUSED = "paused"
    CLOSE_ONLY = "close_only"
    TERMINATED = "terminated"
    NOT_ACCEPTED = "not_accepted"
    BEFORE_START = "before_start"
    LATE = "late"
    SYMBOL_UNKNOWN = "symbol_unknown"
    SYMBOL_EXCLUDED = "symbol_excluded"
    DIRECTION = "direction"
    MAGIC = "magic"
    OWN_COPY = "own_copy"
    HOURS = "hours"
    MOST_POSITIONS = "most_positions"
    BELOW_MINIMUM = "below_minimum"
    NO_STOP = "no_stop"
    NO_READING = "no_reading"
    NO_RATE = "no_rate"
    NOT_HELD = "not_held"
    LEFT = "left"
    PENDINGS_OFF = "pendings_off"
    STOPS_OFF = "stops_off"
    UNCHANGED = "unchanged"
    LOCKED = "locked"
    EQUITY_STOP = "equity_stop"
    SLIPPAGE = "slippage"
    REFUSED = "refused"
