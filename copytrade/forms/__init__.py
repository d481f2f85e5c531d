from copytrade.forms.example import ExampleForm
from copytrade.forms.offer import OfferForm
from copytrade.forms.states import AcceptForm, AliasForm, EndForm, ReasonForm
from copytrade.forms.terms import TermsForm

__all__ = [
    "AcceptForm",
    "AliasForm",
    "EndForm",
    "ExampleForm",
    "OfferForm",
    "ReasonForm",
    "TermsForm",
]
