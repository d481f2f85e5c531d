"""Django's admin and form classes with type parameters, which Django itself knows only as stubs."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.forms.models import BaseInlineFormSet

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin
    TabularInline = admin.TabularInline
    ModelForm = forms.ModelForm
    InlineFormSet = BaseInlineFormSet
else:

    class _Subscriptable:
        def __class_getitem__(cls, _: Any) -> type:
            return cls

    class ModelAdmin(_Subscriptable, admin.ModelAdmin):
        pass

    class TabularInline(_Subscriptable, admin.TabularInline):
        pass

    class ModelForm(_Subscriptable, forms.ModelForm):
        pass

    class InlineFormSet(_Subscriptable, BaseInlineFormSet):
        pass


__all__ = ["InlineFormSet", "ModelAdmin", "ModelForm", "TabularInline"]
