"""Presets as their page shows them: by firm, each rule in a sentence."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from risk.core.rule_types import ARMED_ACTIONS
from risk.models import GroupTemplate
from risk.presentation.rules import terms_sentence
from risk.presets.catalogue import Preset
from risk.presets.terms import RuleTerms, TermsError, read_all_terms


@dataclass(frozen=True, slots=True)
class PresetRule:
    """One rule of a preset; `phase` is the name of the phase it belongs to, "" for every one."""

    name: str
    sentence: str
    action: str
    phase: str = ""
    acts: bool = False
    needs_group: bool = False


@dataclass(frozen=True, slots=True)
class PresetCard:
    preset: Preset
    rules: tuple[PresetRule, ...]


@dataclass(frozen=True, slots=True)
class FirmPresets:
    """The presets of one firm; the user's own have no firm."""

    name: str
    cards: tuple[PresetCard, ...]


@dataclass(frozen=True, slots=True)
class TemplateCard:
    """`trouble` says why the rules of a template cannot be read, "" when they can."""

    template: GroupTemplate
    rules: tuple[PresetRule, ...]
    trouble: str = ""


def preset_shelf(presets: Iterable[Preset]) -> list[FirmPresets]:
    """Put presets together by firm, in the order in which the firms come first."""
    firms: dict[str, list[PresetCard]] = {}
    for preset in presets:
        firms.setdefault(preset.firm, []).append(preset_card(preset))
    return [FirmPresets(name, tuple(cards)) for name, cards in firms.items()]


def preset_card(preset: Preset) -> PresetCard:
    phases = {phase.key: phase.name for phase in preset.phases}
    rules = [
        _rule(terms, shared=preset.name, phase=phases.get(key, "")) for key, terms in preset.rules
    ]
    return PresetCard(preset, tuple(rules))


def template_cards(templates: Sequence[GroupTemplate]) -> list[TemplateCard]:
    return [_template_card(template) for template in templates]


def _template_card(template: GroupTemplate) -> TemplateCard:
    try:
        terms = read_all_terms(template.rules)
    except TermsError as error:
        return TemplateCard(template, (), str(error))
    return TemplateCard(template, tuple(_rule(each) for each in terms))


def _rule(terms: RuleTerms, *, shared: str = "", phase: str = "") -> PresetRule:
    return PresetRule(
        name=_own_name(terms.name, shared),
        sentence=terms_sentence(terms),
        action=terms.action.value,
        phase=phase,
        acts=terms.action in ARMED_ACTIONS,
        needs_group=terms.needs_several_accounts,
    )


def _own_name(name: str, shared: str) -> str:
    """Leave out of a rule's name what the card says already: its program, and its phase."""
    if not shared or not name.startswith(shared):
        return name
    own = name.removeprefix(shared).split(":", 1)[-1].strip()
    return f"{own[:1].upper()}{own[1:]}" if own else name
