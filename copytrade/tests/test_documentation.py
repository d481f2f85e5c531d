"""What docs/copying.md says of the words of copying is what the program says."""

from pathlib import Path

from copytrade.core.kinds import Sizing, SkipReason
from copytrade.core.sentences import plain_sentence
from copytrade.models import CopyRelationship

TEXT = (Path(__file__).parents[2] / "docs" / "copying.md").read_text()


def test_every_reason_stands_there_with_its_sentence() -> None:
    listed = [f"| `{reason.value}` | {plain_sentence(reason)} |" for reason in SkipReason]
    assert [row for row in listed if row not in TEXT] == []


def test_every_state_ending_and_sizing_is_explained() -> None:
    words = [*CopyRelationship.State.values, *CopyRelationship.Ending.values, *Sizing]
    assert [word for word in words if f"`{word}`" not in TEXT] == []
