"""What a rule that is not saved would say right now."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.rows import OwnRowsField, TextField, YesNoField, user_of
from accounts.models import ConnectedAccount
from accounts.selectors import accounts_of
from risk.api.order_serializers import PriceField
from risk.api.shapes import STATUSES
from risk.dry_run import GivenNumbers, GivenPosition, rule_answers
from risk.dry_run.answering import MOST_ACCOUNTS
from risk.models import Order, RiskRule
from risk.presets.terms import TERM_NAMES

_MOST_POSITIONS = 500
_TEST = OpenApiExample(
    "FTMO's daily loss against given numbers",
    value={
        "rule_type": "MAX_DAILY_LOSS",
        "limit": "0.05",
        "parameters": {"reference": "balance", "comparison": "below"},
        "numbers": {
            "initial_balance": 100000,
            "day_balance": 105000,
            "balance": 104000,
            "equity": 101200,
        },
    },
    request_only=True,
)


class GivenPositionSerializer(serializers.Serializer[Any]):
    symbol = TextField(max_length=32)
    direction = serializers.ChoiceField(choices=Order.Direction.choices)
    volume_lots = serializers.DecimalField(max_digits=18, decimal_places=8, min_value=0)
    notional = PriceField(required=False, help_text="Its value, in account currency.")
    profit = PriceField(required=False)
    loss_at_stop = PriceField(
        required=False,
        min_value=0,
        help_text="From its opening to its stop loss; left out: it has none. Needs `notional`.",
    )
    minutes_open = PriceField(required=False, min_value=0)
    magic = serializers.IntegerField(required=False, min_value=0, max_value=2**63 - 1)
    is_pending = YesNoField(required=False)


class GivenNumbersSerializer(serializers.Serializer[Any]):
    """An imagined account; what is left out is not known."""

    balance = PriceField()
    equity = PriceField(required=False)
    credit = PriceField(required=False)
    margin = PriceField(required=False)
    initial_balance = PriceField(required=False)
    currency = TextField(max_length=8, required=False)
    day_balance = PriceField(required=False, help_text="At the reset.")
    day_equity = PriceField(required=False, help_text="At the reset.")
    day_deposits = PriceField(required=False)
    day_withdrawals = PriceField(required=False)
    peak = PriceField(required=False, help_text="The highest that a trailing rule has seen.")
    day_trades = serializers.IntegerField(required=False, min_value=0, max_value=10**6)
    trading_days = serializers.IntegerField(
        required=False, min_value=0, max_value=10**6, help_text="Without today."
    )
    best_day = PriceField(required=False)
    positive_days = PriceField(required=False, help_text="What the days in profit made together.")
    total_profit = PriceField(required=False)
    idle_days = PriceField(required=False)
    positions = serializers.ListField(
        child=GivenPositionSerializer(), required=False, max_length=_MOST_POSITIONS
    )


class RuleTestSerializer(serializers.ModelSerializer[RiskRule]):
    """A rule as for `risk-rules`, without its targets."""

    name = TextField(max_length=64, required=False)
    losers_only = YesNoField(required=False)
    is_firm_rule = YesNoField(required=False)
    parameters = serializers.DictField(required=False)
    account_ids = OwnRowsField(
        model=ConnectedAccount,
        required=False,
        allow_empty=False,
        help_text=(
            f"At most {MOST_ACCOUNTS}; left out: your active accounts, as many of them as that."
        ),
    )
    numbers = GivenNumbersSerializer(
        required=False,
        help_text="Instead of what the accounts show; the first one lends its initial balance.",
    )

    class Meta:
        model = RiskRule
        fields = [*TERM_NAMES, "account_ids", "numbers"]


class RuleAnswerShape(serializers.Serializer[Any]):
    account_id = serializers.UUIDField(allow_null=True)
    account_name = serializers.CharField()
    status = serializers.ChoiceField(choices=STATUSES)
    used = serializers.FloatField(allow_null=True)
    limit = serializers.FloatField(allow_null=True)
    left = serializers.FloatField(allow_null=True)
    floor = serializers.FloatField(allow_null=True)
    buffer = serializers.FloatField(allow_null=True)
    unit = serializers.CharField()
    sentence = serializers.CharField()
    baselines = serializers.ChoiceField(
        choices=["recorded", "given", "unknown"],
        allow_blank=True,
        help_text="Where a day's reference, a peak or a count comes from; empty: none is needed.",
    )
    would_act = serializers.CharField(
        allow_blank=True, help_text="What the rule would do at once; empty: nothing."
    )


class RuleAnswers(serializers.Serializer[Any]):
    results = RuleAnswerShape(many=True)


class RuleTestView(APIView):
    @extend_schema(
        operation_id="risk_rules_test",
        request=RuleTestSerializer,
        responses=RuleAnswers,
        examples=[_TEST],
    )
    def post(self, request: Request) -> Response:
        """Tell what a rule that is not saved would say now, of accounts or of given numbers.

        Nothing is written. What cannot be known is `unknown`, with the reason in its sentence.
        """
        serializer = RuleTestSerializer(data=request.data, context={"request": request})
        serializer.is_valid(raise_exception=True)
        fields = dict(serializer.validated_data)
        accounts, numbers = fields.pop("account_ids", None), _numbers(fields.pop("numbers", None))
        user = user_of(request)
        if accounts is None and numbers is None:
            accounts = list(accounts_of(user).filter(is_active=True)[:MOST_ACCOUNTS])
        answers = rule_answers(
            user=user, fields=fields, accounts=accounts or (), numbers=numbers, now=timezone.now()
        )
        return Response(RuleAnswers({"results": answers}).data)


def _numbers(given: dict[str, Any] | None) -> GivenNumbers | None:
    if given is None:
        return None
    positions = tuple(GivenPosition(**each) for each in given.pop("positions", ()))
    return GivenNumbers(**given, positions=positions)
