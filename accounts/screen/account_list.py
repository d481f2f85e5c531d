"""The list of accounts as somebody asked for it: searched, filtered, sorted, a page at a time."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.paginator import Page, Paginator
from django.http import QueryDict

from accounts.forms.account_list import AccountListForm
from accounts.models import User
from accounts.screen.account_rows import AccountRow, account_rows, structure_cell, summary_cells
from accounts.screen.parts import Cell
from accounts.selectors import accounts_of

PAGE_LENGTH = 50
Wanted = Mapping[str, Any]

# What needs a look stands first.
_URGENCY = {"error": 0, "disconnected": 1, "connecting": 2, "connected": 3}

_KEYS: Mapping[str, Callable[[AccountRow], Any]] = {
    "name": lambda row: row.account.name.casefold(),
    "login": lambda row: row.account.login,
    "broker": lambda row: (row.account.broker.casefold(), row.account.server.casefold()),
    "role": lambda row: (row.account.get_role_display(), row.account.is_demo),
    "state": lambda row: _URGENCY.get(row.connection.status or "", 0),
    "equity": lambda row: -math.inf if row.equity_amount is None else row.equity_amount,
}


@dataclass(frozen=True, slots=True)
class AccountList:
    """`page` holds rows; `summary` and `structure` are about all accounts, not the chosen ones."""

    form: AccountListForm
    page: Page[AccountRow]
    sort: str
    total: int
    summary: tuple[Cell, ...]
    structure: Cell
    query: str

    @property
    def is_narrowed(self) -> bool:
        return self.page.paginator.count < self.total or self.form.is_narrowing()


def account_list(user: User, asked: QueryDict, *, now: datetime) -> AccountList:
    """Return the page of the user's accounts that `asked` (the address's parameters) means.

    All rows are read whatever is asked: the sums are about all, and by equity or state nobody but
    the hot state can sort. What is not understood is left out, as if it were not asked.
    """
    accounts = list(accounts_of(user).order_by("name", "pk"))
    tags = sorted({tag.name for account in accounts for tag in account.tags.all()})
    form = AccountListForm(asked, tags=tags)
    wanted = form.wanted()
    rows = account_rows(accounts, now=now)
    sort = wanted.get("sort") or "name"
    chosen = [row for row in rows if _is_wanted(row, wanted)]
    chosen.sort(key=_KEYS[sort.removeprefix("-")], reverse=sort.startswith("-"))
    page = Paginator(chosen, PAGE_LENGTH).get_page(asked.get("page"))
    return AccountList(
        form=form,
        page=page,
        sort=sort,
        total=len(rows),
        summary=summary_cells(rows),
        structure=structure_cell(accounts),
        query=_query(asked, page.number),
    )


def _is_wanted(row: AccountRow, wanted: Wanted) -> bool:
    account = row.account
    words = str(wanted.get("q") or "").casefold().split()
    told = f"{account.name} {account.broker} {account.server} {account.login}".casefold()
    tag, state = wanted.get("tag"), wanted.get("state")
    return (
        all(word in told for word in words)
        and (not tag or any(each.name == tag for each in account.tags.all()))
        and (not state or row.connection.status == state)
        and wanted.get("role") in ("", None, account.role)
        and wanted.get("kind") in ("", None, "demo" if account.is_demo else "live")
        and wanted.get("active") in ("", None, "yes" if account.is_active else "no")
    )


def _query(asked: QueryDict, page: int) -> str:
    """Return the parameters of this very page, for whoever asks for its numbers again."""
    told = asked.copy()
    told["page"] = str(page)
    return told.urlencode()
