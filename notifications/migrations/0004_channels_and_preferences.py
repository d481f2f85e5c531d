import accounts.models.text
import accounts.vault.fields
import datetime
import django.core.validators
import django.db.models.deletion
import notifications.transports
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("notifications", "0003_type_of_objectives"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Channel",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "transport",
                    models.CharField(
                        choices=notifications.transports.transport_choices, max_length=16
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        max_length=64, validators=[accounts.models.text.validate_one_line]
                    ),
                ),
                ("credentials", accounts.vault.fields.EncryptedTextField(null=True)),
                ("hint", models.CharField(blank=True, editable=False, max_length=100)),
                ("failures_in_a_row", models.PositiveSmallIntegerField(default=0, editable=False)),
                ("last_error", models.CharField(blank=True, editable=False, max_length=255)),
                ("last_sent_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("switched_off_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "switched_off_because",
                    models.CharField(blank=True, editable=False, max_length=255),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "ordering": ["created_at", "id"],
            },
        ),
        migrations.CreateModel(
            name="DeliverySettings",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("quiet_from", models.TimeField(blank=True, null=True)),
                ("quiet_until", models.TimeField(blank=True, null=True)),
                (
                    "summary_at",
                    models.TimeField(
                        default=datetime.time(22, 0), help_text="When the daily summary is made."
                    ),
                ),
                ("summarised_on", models.DateField(blank=True, editable=False, null=True)),
                (
                    "repeat_minutes",
                    models.PositiveSmallIntegerField(
                        default=5,
                        help_text="The same thing within so many minutes is counted, not told again; 0: told.",
                        validators=[django.core.validators.MaxValueValidator(120)],
                    ),
                ),
                (
                    "storm_limit",
                    models.PositiveSmallIntegerField(
                        default=10,
                        help_text="More than this many a minute by one channel become one message.",
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(100),
                        ],
                    ),
                ),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "verbose_name_plural": "delivery settings",
            },
        ),
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
            ],
            options={
                "ordering": ["user", "type"],
            },
        ),
        migrations.CreateModel(
            name="PushKey",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "public_key",
                    models.CharField(
                        help_text="Uncompressed P-256 point, base64url.", max_length=128
                    ),
                ),
                ("private_key", accounts.vault.fields.EncryptedTextField(null=True)),
                ("singleton", models.BooleanField(default=True, editable=False, unique=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
        ),
        migrations.AddField(
            model_name="delivery",
            name="channel_name",
            field=models.CharField(blank=True, max_length=64),
        ),
        migrations.AddField(
            model_name="delivery",
            name="created_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="delivery",
            name="hold",
            field=models.CharField(
                blank=True,
                choices=[
                    ("", "Not held"),
                    ("quiet", "Until the quiet hours end"),
                    ("storm", "Gathered, since many came at once"),
                ],
                default="",
                max_length=8,
            ),
        ),
        migrations.AddField(
            model_name="delivery",
            name="letter_id",
            field=models.UUIDField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="delivery",
            name="sent_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.RemoveConstraint(
            model_name="delivery", name="notifications_delivery_once_per_channel"
        ),
        migrations.RenameField(model_name="delivery", old_name="channel", new_name="transport"),
        migrations.AlterField(
            model_name="delivery",
            name="transport",
            field=models.CharField(
                choices=notifications.transports.transport_choices, max_length=16
            ),
        ),
        migrations.AddField(
            model_name="notification",
            name="happened_count",
            field=models.PositiveIntegerField(
                default=1, help_text="How often it happened within minutes of the first time."
            ),
        ),
        migrations.AddField(
            model_name="notification",
            name="is_hidden",
            field=models.BooleanField(
                default=False,
                help_text="Counted with an earlier one, or of a type that is switched off.",
            ),
        ),
        migrations.AddField(
            model_name="notification",
            name="last_happened_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="notification",
            name="repeat_key",
            field=models.CharField(default="", editable=False, max_length=64),
        ),
        migrations.AddField(
            model_name="notification",
            name="routed_at",
            field=models.DateTimeField(
                blank=True,
                help_text="When it was decided by which channels it goes out.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="notification",
            name="told_by",
            field=models.CharField(
                blank=True,
                help_text="A transport by which the user hears of it anyway.",
                max_length=64,
            ),
        ),
        migrations.AlterField(
            model_name="delivery",
            name="state",
            field=models.CharField(
                choices=[
                    ("pending", "Pending"),
                    ("sent", "Sent"),
                    ("failed", "Failed"),
                    ("cancelled", "Cancelled"),
                ],
                default="pending",
                max_length=16,
            ),
        ),
        migrations.AlterField(
            model_name="notification",
            name="type",
            field=models.CharField(
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
        migrations.AddIndex(
            model_name="notification",
            index=models.Index(
                condition=models.Q(("routed_at", None)),
                fields=["created_at"],
                name="notifications_unrouted",
            ),
        ),
        migrations.AddIndex(
            model_name="notification",
            index=models.Index(
                fields=["user", "repeat_key", "-created_at"], name="notifications_repeated"
            ),
        ),
        migrations.AddField(
            model_name="channel",
            name="user",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="channels",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="delivery",
            name="channel",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="deliveries",
                to="notifications.channel",
            ),
        ),
        migrations.AddConstraint(
            model_name="delivery",
            constraint=models.UniqueConstraint(
                fields=("notification", "channel"), name="notifications_delivery_once_per_channel"
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                fields=["channel", "created_at"], name="notifications_delivery_newest"
            ),
        ),
        migrations.AddField(
            model_name="deliverysettings",
            name="user",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="delivery_settings",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="preference",
            name="user",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="notification_preferences",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddConstraint(
            model_name="pushkey",
            constraint=models.CheckConstraint(
                condition=models.Q(("singleton", True)), name="notifications_pushkey_only_one"
            ),
        ),
        migrations.AddConstraint(
            model_name="channel",
            constraint=models.UniqueConstraint(
                condition=models.Q(("transport", "email")),
                fields=("user",),
                name="notifications_channel_one_email",
            ),
        ),
        migrations.AddConstraint(
            model_name="channel",
            constraint=models.UniqueConstraint(
                fields=("user", "name"), name="notifications_channel_name_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="deliverysettings",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("quiet_from", None), ("quiet_until", None)),
                    models.Q(("quiet_from__isnull", False), ("quiet_until__isnull", False)),
                    _connector="OR",
                ),
                name="notifications_settings_quiet_has_two_ends",
            ),
        ),
        migrations.AddConstraint(
            model_name="preference",
            constraint=models.UniqueConstraint(
                fields=("user", "type"), name="notifications_preference_once_per_type"
            ),
        ),
    ]
