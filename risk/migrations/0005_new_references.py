from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("risk", "0004_orders_that_are_lost")]

    operations = [
        migrations.AddField(
            model_name="rulestate",
            name="new_reference",
            field=models.FloatField(
                blank=True, help_text="The equity that a loss is to be counted from.", null=True
            ),
        ),
        migrations.AddField(
            model_name="rulestate",
            name="new_reference_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
