"""What each way to end a relationship does, with the numbers of what is held now."""

from typing import Any, Final

from copytrade.forms import EndForm
from copytrade.models import CopyRelationship
from copytrade.screen.holdings import Holdings

Ending = CopyRelationship.Ending
_NONE: Final = "Nothing is held now."


def ending_choices(form: EndForm, holdings: Holdings) -> list[tuple[Any, str]]:
    """Return the endings with a sentence on each; none where there is nothing to choose."""
    if "ending" not in form.fields:
        return []
    return [
        (choice, _sentence(Ending(str(choice.data["value"])), holdings))
        for choice in form["ending"]
    ]


def _sentence(ending: Ending, holdings: Holdings) -> str:
    held = holdings.text
    match ending:
        case Ending.KEEP:
            kept = f"Open stay {held}: nobody but their owner closes them." if held else _NONE
            return f"Copying ends at once. {kept}"
        case Ending.AS_PROVIDER:
            rest = f"Still to be closed: {held}." if held else "As nothing is held, that is now."
            return f"Nothing new is opened; it ends when the provider has closed its own. {rest}"
        case _:
            closed = f"Closed at the market: {held}." if held else _NONE
            return f"{closed} What the follower opened by hand stays."
