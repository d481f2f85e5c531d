"""How a letter reads as an e-mail: as text and as HTML that also dark mail programs show well."""

import re
from typing import Final

import css_inline
from django.conf import settings
from django.template.loader import render_to_string
from django.utils import timezone

from notifications.delivering.chat_text import is_list, zone_of
from notifications.delivering.letters import Letter, LetterKind

LONGEST_PREVIEW: Final = 120
_LABELS: Final = {"urgent": "Urgent", "high": "High priority"}
# Mail programs that drop a <style> show what is inlined; what depends on the theme stays in it.
_INLINER: Final = css_inline.CSSInliner(keep_style_tags=True, load_remote_stylesheets=False)


def render(letter: Letter) -> tuple[str, str]:
    """Return the text and the HTML of a letter, with times in its recipient's zone."""
    context = _context(letter)
    template = "digest" if is_list(letter) else "single"
    # Templates show times in the zone that is active.
    with timezone.override(zone_of(letter.recipient.time_zone)):
        text = render_to_string(f"notifications/email/{template}.txt", context)
        html = render_to_string(f"notifications/email/{template}.html", context)
    return text, _INLINER.inline(html)


def _context(letter: Letter) -> dict[str, object]:
    left_out = letter.total - len(letter.items)
    return {
        "letter": letter,
        "label": _label(letter),
        "paragraphs": [part for part in re.split(r"\n\s*\n", letter.body) if part.strip()],
        "preview": " ".join(letter.body.split())[:LONGEST_PREVIEW],
        "count": letter.items[0].count,
        "left_out": left_out,
        "left_out_words": f"{left_out:,}",
        "settings_url": f"{settings.PUBLIC_URL.rstrip('/')}/notifications/preferences",
    }


def _label(letter: Letter) -> str:
    if letter.kind is LetterKind.TEST:
        return "Test"
    if letter.kind is LetterKind.QUIET:
        return "From your quiet hours"
    if letter.kind is LetterKind.STORM:
        return "Gathered, since many came at once"
    return _LABELS.get(letter.priority, "Notice")
