from typing import TYPE_CHECKING, Any

from django import forms

from accounts.forms.base import ServiceForm
from accounts.models import ConnectedAccount, User
from groups.models import AccountGroup

if TYPE_CHECKING:
    ModelForm = forms.ModelForm[AccountGroup]
    AccountChoice = forms.ModelMultipleChoiceField[ConnectedAccount]
else:
    ModelForm = forms.ModelForm
    AccountChoice = forms.ModelMultipleChoiceField


class MemberChoice(AccountChoice):
    """Accounts to tick, told apart by name, login and server."""

    widget = forms.CheckboxSelectMultiple

    def label_from_instance(self, obj: ConnectedAccount) -> str:
        return f"{obj.name} · {obj.login} · {obj.server}"


class GroupForm(ModelForm, ServiceForm):
    accounts = MemberChoice(ConnectedAccount.objects.none(), required=False)

    class Meta:
        model = AccountGroup
        fields = ("name", "description")
        widgets = {"name": forms.TextInput(attrs={"autocomplete": "off"})}

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["accounts"]
        if isinstance(field, MemberChoice):
            field.queryset = ConnectedAccount.objects.owned_by(user).order_by("name", "pk")
        if not self.instance._state.adding:
            self.initial["accounts"] = [account.pk for account in self.instance.accounts.all()]


class MembersForm(forms.Form):
    accounts = MemberChoice(ConnectedAccount.objects.none(), required=False)

    def __init__(self, *args: Any, group: AccountGroup, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["accounts"]
        if isinstance(field, MemberChoice):
            own = ConnectedAccount.objects.filter(user_id=group.user_id)
            field.queryset = own.order_by("name", "pk")
        self.initial["accounts"] = [account.pk for account in group.accounts.all()]
