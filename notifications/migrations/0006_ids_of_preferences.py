import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    """Number preferences as the API numbers everything; the table is new, and empty so far."""

    dependencies = [
        ("notifications", "0005_email_channels"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.DeleteModel(name="Preference"),
        migrations.CreateModel(
            name="Preference",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "type",
                    models.CharField(
                        choices=[
                            ("risk_warning", "Rule close to its limit"),
                            ("risk_breach", "Rule violated"),
                            ("enforcement", "TradeGuard stepped in"),
                            ("margin_warning", "Margin is running out"),
                            ("liquidation", "Liquidated"),
                            ("objective", "Objective"),
                            ("order_filled", "Order filled"),
                            ("order_rejected", "Order not executed"),
                            ("position_update", "Position opened or closed"),
                            ("copy_skipped", "Copy skipped"),
                            ("copy_error", "Copy failed"),
                            ("cascade", "Followers closed with their provider"),
                            ("strategy_error", "Trading is switched off"),
                            ("connection_lost", "Connection lost"),
                            ("connection_restored", "Connection restored"),
                            ("identity_mismatch", "Another account answered"),
                            ("security", "Security"),
                            ("system_alert", "TradeGuard itself"),
                            ("daily_summary", "Daily summary"),
                        ],
                        max_length=32,
                    ),
                ),
                (
                    "mode",
                    models.CharField(
                        choices=[("on", "On"), ("silent", "Silent"), ("off", "Off")],
                        default="on",
                        help_text="Silent: only in the notification centre. Off: nowhere.",
                        max_length=8,
                    ),
                ),
                (
                    "minimum_priority",
                    models.CharField(
                        choices=[
                            ("low", "Low"),
                            ("medium", "Medium"),
                            ("high", "High"),
                            ("urgent", "Urgent"),
                        ],
                        default="low",
                        help_text="What is less important stays in the notification centre.",
                        max_length=8,
                    ),
                ),
                ("transports", models.JSONField(blank=True, default=list)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="notification_preferences",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["user", "type"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("user", "type"), name="notifications_preference_once_per_type"
                    )
                ],
            },
        ),
    ]
