"""The objects that clients see: the live risk of a group and of an account, as plain JSON values.

Everything that ages is judged here, by whoever reads, because a dead worker cannot announce its own
death: a reading older than two seconds is stale, and what it said is not known any more. A
latched violation stays. What is not known is None, never 0.
"""

from risk.live_objects.members import Member, RuleView
from risk.live_objects.objects import account_object, group_object
from risk.live_objects.values import Json

__all__ = ["Json", "Member", "RuleView", "account_object", "group_object"]
