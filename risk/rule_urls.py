from django.urls import path

from risk.views import breaches, group_templates, news, overrides, presets, rules

urlpatterns = [
    path("rules", rules.rule_list, name="rule-list"),
    path("rules/statuses", rules.rule_statuses, name="rule-statuses"),
    path("rules/new", rules.rule_create, name="rule-create"),
    path("rules/fields", rules.rule_fields, name="rule-fields"),
    path("rules/preview", rules.rule_preview, name="rule-preview"),
    path("rules/answers", rules.rule_answers_now, name="rule-answers"),
    path("rules/cutoff", rules.rule_cutoff, name="rule-cutoff"),
    path("rules/<uuid:rule_id>/edit", rules.rule_update, name="rule-update"),
    path("rules/<uuid:rule_id>/delete", rules.rule_delete, name="rule-delete"),
    path("rules/<uuid:rule_id>/accounts", overrides.override_list, name="rule-overrides"),
    path(
        "rules/<uuid:rule_id>/accounts/<uuid:account_id>",
        overrides.override_update,
        name="rule-override",
    ),
    path(
        "rules/<uuid:rule_id>/accounts/<uuid:account_id>/acknowledge",
        rules.rule_acknowledge,
        name="rule-acknowledge",
    ),
    path("rules/presets", presets.preset_list, name="preset-list"),
    path("rules/presets/new", presets.preset_create, name="preset-create"),
    path("rules/presets/<slug:preset_key>/use", presets.preset_use, name="preset-use"),
    path("rules/presets/<uuid:preset_id>/edit", presets.preset_update, name="preset-update"),
    path("rules/presets/<uuid:preset_id>/delete", presets.preset_delete, name="preset-delete"),
    path("rules/templates", group_templates.template_list, name="template-list"),
    path("rules/templates/new", group_templates.template_create, name="template-create"),
    path(
        "rules/templates/<uuid:template_id>/edit",
        group_templates.template_update,
        name="template-update",
    ),
    path(
        "rules/templates/<uuid:template_id>/delete",
        group_templates.template_delete,
        name="template-delete",
    ),
    path(
        "rules/templates/<uuid:template_id>/use",
        group_templates.template_use,
        name="template-use",
    ),
    path("rules/news", news.news_calendar, name="news-calendar"),
    path("rules/news/clear", news.news_clear, name="news-clear"),
    path("rules/breaches", breaches.breach_list, name="breach-list"),
    path("rules/breaches/<uuid:breach_id>", breaches.breach_detail, name="breach-detail"),
]
