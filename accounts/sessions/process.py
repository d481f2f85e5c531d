"""The sessions that this process holds, by host."""

from pathlib import Path
from threading import Lock
from uuid import UUID

from django.conf import settings

from accounts.models import TerminalHost
from accounts.sessions.host import HostSessions
from accounts.sessions.roster import LoadCursors, ensure_hosts
from accounts.terminals.processes.programs import TerminalPrograms
from accounts.terminals.registry import NoTerminals, Source, release, source_of

_held: dict[str, HostSessions] = {}
_lock = Lock()


def open_sessions(
    host: str, load_cursors: LoadCursors | None = None, *, is_inline: bool = False
) -> HostSessions:
    """Return the sessions of a host, opened when this process has none yet.

    `load_cursors` names the newest stored deal of accounts that are new to the process; it runs on
    the roster's thread. `is_inline` does everything in the caller's thread.
    """
    with _lock:
        sessions = _held.get(host)
        if sessions is None:
            ensure_hosts()
            source = _source(host, terminal_programs())
            sessions = HostSessions(host, source, load_cursors=load_cursors, is_inline=is_inline)
            _held[host] = sessions
        return sessions


def terminals_of(host: str) -> Source | None:
    """Return who answers for the terminals of a host to others than its sessions.

    Real terminals belong to the process that holds the host's lease, and so its sessions: None
    where it does not, for a second process would start theirs once more.
    """
    sessions = sessions_of(host)
    if sessions is not None:
        return sessions.source
    source = _source(host, None)
    is_elsewhere = isinstance(source, NoTerminals) and terminal_programs() is not None
    return None if is_elsewhere else source


def _source(host: str, programs: TerminalPrograms | None) -> Source:
    kind = TerminalHost.objects.values_list("kind", flat=True).get(pk=host)
    return source_of(host, kind, Path(settings.SIMULATED_BROKER_HOME), programs)


def terminal_programs() -> TerminalPrograms | None:
    """Return how this machine runs real terminals; None when it is not set up to."""
    if not settings.TERMINALS_HOME:
        return None
    return TerminalPrograms(
        home=Path(settings.TERMINALS_HOME).expanduser().resolve(),
        module=settings.TERMINAL_MODULE,
        poll_seconds=settings.TERMINAL_POLL_SECONDS,
        broker_home=Path(settings.SIMULATED_BROKER_HOME),
    )


def sessions_of(host: str) -> HostSessions | None:
    return _held.get(host)


def close_sessions(host: str) -> None:
    """Let go of a host's sessions; connections stay wanted and are restored by the next process."""
    with _lock:
        sessions = _held.pop(host, None)
    if sessions is not None:
        sessions.close()
    release(host)


def nudge(account_id: UUID) -> None:
    """Make whatever sessions are held here look at an account in the database now."""
    for sessions in list(_held.values()):
        sessions.nudge(account_id)
