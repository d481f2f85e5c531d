from risk.forms.acknowledge import AcknowledgeForm
from risk.forms.breach_list import BreachListForm
from risk.forms.cutoff import CutoffForm
from risk.forms.news import NewsImportForm
from risk.forms.override import OverrideForm
from risk.forms.presets import PresetForm, TemplateForm, UsePresetForm, UseTemplateForm
from risk.forms.rule import RuleForm
from risk.forms.rule_list import RuleListForm

__all__ = [
    "AcknowledgeForm",
    "BreachListForm",
    "CutoffForm",
    "NewsImportForm",
    "OverrideForm",
    "PresetForm",
    "RuleForm",
    "RuleListForm",
    "TemplateForm",
    "UsePresetForm",
    "UseTemplateForm",
]
