"""Presets and group templates: rules to begin with."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.viewsets import OwnedViewSet
from groups.api.serializers import GroupSerializer
from groups.selectors import groups_of
from risk import selectors
from risk.api.preset_serializers import (
    GroupTemplateSerializer,
    PresetApplication,
    Presets,
    PresetSerializer,
    TemplateApplication,
)
from risk.api.serializers import RulesSerializer
from risk.models import GroupTemplate, RulePreset
from risk.presentation.rules import terms_sentence
from risk.presets.catalogue import Preset, firm_presets, left_out
from risk.presets.terms import written
from risk.services import presets, templates

_APPLY = OpenApiExample(
    "A program's second phase on an account",
    value={
        "preset": "ftmo-2-step",
        "phase": "phase-2",
        "accounts": ["0d0ff8a4-6a2c-4f0e-9c27-5d3a3f1f9e11"],
    },
    request_only=True,
)


class PresetViewSet(mixins.RetrieveModelMixin, OwnedViewSet[RulePreset]):
    """Sets of rules to put on accounts and groups: the firms' programs, and your own."""

    model = RulePreset
    serializer_class = PresetSerializer
    filter_backends = []
    pagination_class = None

    def own_rows(self) -> QuerySet[RulePreset]:
        return selectors.presets_of(self.owner)

    @extend_schema(responses=Presets)
    def list(self, _request: Request) -> Response:
        """List the programs of firms, dated and with their source, and your own presets.

        Firms change their rules: check with the firm.
        """
        shown = {
            "programs": [_program(preset) for preset in firm_presets()],
            "own": self.get_queryset(),
            "left_out": left_out(),
        }
        return Response(Presets(shown, context=self.get_serializer_context()).data)

    def create(self, request: Request) -> Response:
        """Save rules under a name, from your rules or as they are given."""
        given = _rules_of(self._checked(PresetSerializer, request))
        given.setdefault("rules", ())
        preset = presets.save_preset(user=self.owner, **given)
        return Response(self.get_serializer(preset).data, status.HTTP_201_CREATED)

    def update(self, request: Request, **_ids: object) -> Response:
        return self._change(request, partial=False)

    def partial_update(self, request: Request, **_ids: object) -> Response:
        """Change a preset of your own; the rules that were made from it stay as they are."""
        return self._change(request, partial=True)

    def destroy(self, _request: Request, **_ids: object) -> Response:
        presets.delete_preset(preset=self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(
        request=PresetApplication,
        responses={201: RulesSerializer},
        examples=[_APPLY],
        operation_id="risk_rules_presets_apply",
    )
    @action(detail=False, methods=["post"])
    def apply(self, request: Request) -> Response:
        """Create the rules of a preset on accounts and groups; none of them is armed.

        Amounts are in the accounts' currency. A rule that looks across accounts comes along onto
        groups only. Refused where a rule of that name is, or where its amounts do not fit.
        """
        given = self._checked(PresetApplication, request)
        preset = presets.preset_of(self.owner, given.pop("preset"))
        if preset is None:
            raise ValidationError({"preset": "not found"})
        made = presets.apply_preset(user=self.owner, preset=preset, **given)
        rules = selectors.rules_of(self.owner).filter(pk__in=[rule.pk for rule in made])
        context = self.get_serializer_context()
        shown = RulesSerializer({"results": rules}, context=context)
        return Response(shown.data, status.HTTP_201_CREATED)

    def _change(self, request: Request, *, partial: bool) -> Response:
        row = self.get_object()
        given = _rules_of(self._checked(PresetSerializer, request, row, partial=partial))
        return Response(self.get_serializer(presets.update_preset(preset=row, **given)).data)

    def _checked(
        self, serializer_class: Any, request: Request, row: Any = None, *, partial: bool = False
    ) -> dict[str, Any]:
        serializer = serializer_class(
            row, data=request.data, partial=partial, context=self.get_serializer_context()
        )
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)


class GroupTemplateViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, OwnedViewSet[GroupTemplate]
):
    """What new groups begin with: rules, and tags for their accounts."""

    model = GroupTemplate
    serializer_class = GroupTemplateSerializer
    filterset_fields = ["name"]
    search_fields = ["name", "description"]
    ordering_fields = ["name", "created_at", "updated_at"]
    ordering = ["name"]

    def own_rows(self) -> QuerySet[GroupTemplate]:
        return selectors.templates_of(self.owner)

    def create(self, request: Request) -> Response:
        """Save a template: from a group, from your rules, or as it is given."""
        given = self._checked(request)
        group = given.pop("group_id", None)
        if group is None:
            row = templates.save_template(user=self.owner, **_rules_of(given))
        else:
            if given.keys() & {"rules", "rule_ids", "tags"}:
                raise ValidationError({"group_id": "Name a group or rules and tags, not both."})
            row = templates.template_of_group(user=self.owner, group=group, **given)
        return Response(self.get_serializer(row).data, status.HTTP_201_CREATED)

    def update(self, request: Request, **_ids: object) -> Response:
        return self._change(request, partial=False)

    def partial_update(self, request: Request, **_ids: object) -> Response:
        """Change a template; the groups that were made from it stay as they are."""
        return self._change(request, partial=True)

    def destroy(self, _request: Request, **_ids: object) -> Response:
        templates.delete_template(template=self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=TemplateApplication, responses={201: GroupSerializer})
    @action(detail=True, methods=["post"])
    def apply(self, request: Request, **_ids: object) -> Response:
        """Make a group of these accounts with the template's rules, and tag the accounts."""
        template = self.get_object()
        serializer = TemplateApplication(data=request.data, context=self.get_serializer_context())
        serializer.is_valid(raise_exception=True)
        group = templates.apply_template(
            user=self.owner,
            template=template,
            group_name=serializer.validated_data["name"],
            accounts=serializer.validated_data["accounts"],
        )
        shown = GroupSerializer(
            groups_of(self.owner).get(pk=group.pk), context=self.get_serializer_context()
        )
        return Response(shown.data, status.HTTP_201_CREATED)

    def _change(self, request: Request, *, partial: bool) -> Response:
        row = self.get_object()
        given = self._checked(request, row, partial=partial)
        if given.pop("group_id", None) is not None:
            raise ValidationError({"group_id": "Only a new template is taken from a group."})
        changed = templates.update_template(template=row, **_rules_of(given))
        return Response(self.get_serializer(changed).data)

    def _checked(
        self, request: Request, row: Any = None, *, partial: bool = False
    ) -> dict[str, Any]:
        serializer = self.get_serializer(row, data=request.data, partial=partial)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)


def _rules_of(given: dict[str, Any]) -> dict[str, Any]:
    """Put the user's rules that were named by id where the service looks for rules."""
    if "rule_ids" in given:
        if "rules" in given:
            raise ValidationError({"rule_ids": "Give rules or the ids of rules, not both."})
        given["rules"] = given.pop("rule_ids")
    return given


def _program(preset: Preset) -> dict[str, Any]:
    names = (
        "key", "name", "firm", "program", "account_size", "currency", "phases", "checked_on",
        "breach", "advice", "copying", "notes",
    )  # fmt: skip
    rules = [
        {**written(terms), "phase": phase, "sentence": terms_sentence(terms)}
        for phase, terms in preset.rules
    ]
    return {
        **{name: getattr(preset, name) for name in names},
        "source_page": preset.source,
        "rules": rules,
    }
