"""Group templates: rules and tags that new groups begin with."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.models import ConnectedAccount, User
from accounts.services.tags import MOST_TAGS, tags_named
from groups.models import AccountGroup
from groups.services import create_group
from risk.models import GroupTemplate
from risk.presets.terms import TermsError, read_all_terms
from risk.services.presets import RuleSource, check_named, stored_rules
from risk.services.rules import create_rule


@transaction.atomic
def save_template(
    *,
    user: User,
    name: str,
    rules: Iterable[RuleSource] = (),
    tags: Iterable[str] = (),
    description: str = "",
) -> GroupTemplate:
    """Save a template of rules, without their targets, and tags; raises ValidationError."""
    row = GroupTemplate(
        user=user,
        name=name,
        description=description,
        tags=_tag_names(tags),
        rules=stored_rules(rules, may_be_empty=True),
    )
    check_named(row)
    row.save(force_insert=True)
    return row


def template_of_group(
    *, user: User, group: AccountGroup, name: str, description: str = ""
) -> GroupTemplate:
    """Save the rules of a group, and the tags that all its accounts have, as a template."""
    members = list(group.accounts.prefetch_related("tags"))
    tag_sets = [{tag.name for tag in account.tags.all()} for account in members]
    shared = sorted(set.intersection(*tag_sets)) if tag_sets else []
    return save_template(
        user=user, name=name, description=description, rules=group.risk_rules.all(), tags=shared
    )


@transaction.atomic
def update_template(
    *,
    template: GroupTemplate,
    name: str | None = None,
    description: str | None = None,
    rules: Iterable[RuleSource] | None = None,
    tags: Iterable[str] | None = None,
) -> GroupTemplate:
    """Change a template; the groups made from it stay as they are."""
    row = GroupTemplate.objects.select_for_update().get(pk=template.pk)
    row.name = row.name if name is None else name
    row.description = row.description if description is None else description
    row.rules = row.rules if rules is None else stored_rules(rules, may_be_empty=True)
    row.tags = row.tags if tags is None else _tag_names(tags)
    check_named(row)
    row.save(update_fields=["name", "description", "rules", "tags", "updated_at"])
    return row


def delete_template(*, template: GroupTemplate) -> None:
    """Delete a template; the groups made from it stay."""
    template.delete()


@transaction.atomic
def apply_template(
    *,
    user: User,
    template: GroupTemplate,
    group_name: str,
    accounts: Iterable[ConnectedAccount],
) -> AccountGroup:
    """Create a group of these accounts with the template's rules, and give the accounts its tags.

    Accounts keep the tags that they have. What the rules would do stays disarmed. Raises
    ValidationError with the field named.
    """
    accounts = list(accounts)
    try:
        terms = read_all_terms(template.rules)
    except TermsError as error:
        raise ValidationError({"template": str(error)}) from error
    group = create_group(
        user=user, name=group_name, description=template.description, accounts=accounts
    )
    for each in terms:
        create_rule(user=user, **each.fields(), groups=[group])
    _add_tags(user, accounts, template.tags)
    return group


def _add_tags(user: User, accounts: Sequence[ConnectedAccount], names: list[str]) -> None:
    tags = tags_named(user=user, names=names)
    if not tags:
        return
    links = ConnectedAccount.tags.through._default_manager
    pairs = links.filter(connectedaccount__in=accounts).values_list("connectedaccount", "tag")
    tags_of: dict[UUID, set[int]] = {account.pk: set() for account in accounts}
    for account_id, tag_id in pairs:
        tags_of[account_id].add(tag_id)
    wanted = {tag.pk for tag in tags}
    for account in accounts:
        if len(tags_of[account.pk] | wanted) > MOST_TAGS:
            raise ValidationError(
                {"accounts": f"{account.name} would have more than {MOST_TAGS} tags."}
            )
    links.bulk_create(
        [
            links.model(connectedaccount_id=account.pk, tag_id=tag_id)
            for account in accounts
            for tag_id in wanted - tags_of[account.pk]
        ],
        ignore_conflicts=True,
    )


def _tag_names(names: Iterable[str]) -> list[str]:
    listed = list(names)
    if not all(isinstance(name, str) for name in listed):
        raise ValidationError({"tags": "Give a list of names."})
    wanted = list(dict.fromkeys(name.strip() for name in listed if name.strip()))
    if len(wanted) > MOST_TAGS:
        raise ValidationError({"tags": f"At most {MOST_TAGS} tags are possible."})
    for name in wanted:
        if len(name) > 32 or not name.isprintable():
            raise ValidationError({"tags": "A tag is one line of at most 32 characters."})
    return wanted
