"""How the description of the API is made and shown (settings of drf-spectacular)."""

from typing import Any, Final

DESCRIPTION: Final[dict[str, Any]] = {
    "TITLE": "TradeGuard",
    "DESCRIPTION": "Live risk of MetaTrader 5 accounts and groups of accounts.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    # What goes in and what comes out differ: passwords only go in, ids only come out.
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "accounts.api.schema.describe_errors",
    ],
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "ENUM_NAME_OVERRIDES": {
        "ConnectionState": "accounts.models.connection.ConnectionState",
        "CascadeScope": "copytrade.models.CopyRelationship.CascadeScope",
        "CopyEventKind": "copytrade.api.fields.EVENT_KINDS",
        "CopyHold": "copytrade.models.CopyRelationship.Hold",
        "CopyOrderType": "copytrade.api.fields.ORDER_TYPES",
        "CopySkipReason": "copytrade.api.fields.SKIP_REASONS",
        "CopyState": "copytrade.models.CopyOrder.State",
        "DeliveryState": "notifications.models.Delivery.State",
        "KeyAction": "accounts.models.key.ApiKeyAuditLog.Action",
        "KeyStatus": "accounts.models.key.ApiKey.Status",
        "NotificationPriority": "notifications.models.Priority",
        "NotificationType": "notifications.models.NotificationType",
        "OrderKind": "risk.models.Order.Kind",
        "OrderState": "risk.models.Order.State",
        "OrderType": "risk.models.Order.Type",
        "RelationshipState": "copytrade.models.CopyRelationship.State",
        "RiskStatus": "risk.api.shapes.STATUSES",
        "RuleAction": "risk.models.RiskRule.Action",
        "TransportName": "notifications.models.transport_choices",
    },
}
