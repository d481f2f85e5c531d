from risk.forms.acknowledge import AcknowledgeForm
from risk.forms.rule import RuleForm

__all__ = ["AcknowledgeForm", "RuleForm"]
