"""Keep children running: start in order, restart with back-off, stop in order."""

import signal
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tradeguard.serving.child import Child, Lifeline, Program
from tradeguard.serving.logs import ChildLog

RESTART_DELAYS_SECONDS = (0.2, 1.0, 2.0, 5.0, 10.0, 30.0)
# A child that ran this long has recovered: its next failure counts as the first.
STEADY_SECONDS = 30.0
MAX_FAILURES_AT_START = 4
STOP_SECONDS = 10.0
# Those that come last may keep books: whatever the others took, each has a moment to close them.
SHORTEST_STOP_SECONDS = 1.0


class StartError(Exception):
    """A part that does not come up; the message names it and tells its last words."""


@dataclass
class Post:
    """A program's place: its child while there is one, and when it is due again."""

    program: Program
    log: ChildLog
    child: Child | None = None
    started_at: float = 0.0
    failures: int = 0
    due_at: float = field(default=0.0)


class Supervisor:
    """Starts and watches the programs of one desk. All methods belong to the main thread."""

    def __init__(
        self,
        *,
        environment: Mapping[str, str],
        folder: Path,
        logs: Path,
        run: Path,
        say: Callable[[str], None],
        on_end: Callable[[int], None],
    ) -> None:
        self._environment = dict(environment)
        self._folder = folder
        self._logs = logs
        self._run = run
        self._say = say
        self._on_end = on_end
        self._lifeline = Lifeline()
        self._posts: list[Post] = []

    @property
    def pids(self) -> dict[str, int]:
        return {post.program.name: post.child.pid for post in self._posts if post.child}

    def set_environment(self, **values: str) -> None:
        """Set variables for the children that are started from now on."""
        self._environment.update(values)

    def start(self, program: Program) -> None:
        post = Post(program, self._open_log(program.name))
        self._posts.append(post)
        self._spawn(post, now=time.monotonic())

    def run(self, program: Program, *, is_cancelled: Callable[[], bool]) -> bool:
        """Run a program to its end while watching the others; False when cancelled.

        Raises StartError when it fails.
        """
        log = self._open_log(program.name)
        child = self._launch(program, log)
        try:
            while not child.wait(timeout_seconds=0.1):
                if is_cancelled():
                    child.signal(signal.SIGTERM)
                    child.wait(program.stop_seconds)
                    return False
                self.watch()
        finally:
            child.bury()
            log.close()
        if child.exit_code() != 0:
            raise StartError(_last_words(program.name, log))
        return True

    def watch(self) -> None:
        """Notice children that ended and start again those that are due."""
        now = time.monotonic()
        for post in self._posts:
            if post.child is not None and post.child.exit_code() is not None:
                self._note_end(post, post.child, now=now)
            if post.child is None and now >= post.due_at:
                self._spawn(post, now=now)

    def is_ready(self, name: str) -> bool:
        return any(
            post.child is not None and post.child.is_ready
            for post in self._posts
            if post.program.name == name
        )

    def raise_when_failing(self) -> None:
        """Raise StartError for a program that ended again and again."""
        for post in self._posts:
            if post.failures >= MAX_FAILURES_AT_START:
                raise StartError(_last_words(post.program.name, post.log))

    def stop(self, order: Iterable[Iterable[str]], *, is_hurried: Callable[[], bool]) -> None:
        """Stop the programs, one set after the other.

        All within STOP_SECONDS, or little later when something does not stop by itself.
        """
        deadline = time.monotonic() + STOP_SECONDS
        told_at: dict[Child, float] = {}
        _tell([child for child in self._children() if child.program.stops_first], told_at)
        for names in order:
            stopping = [child for child in self._children() if child.program.name in set(names)]
            _tell(stopping, told_at)
            for child in stopping:
                patience = min(deadline, told_at[child] + child.program.stop_seconds)
                patience = max(patience, told_at[child] + SHORTEST_STOP_SECONDS)
                self._wait_for_end(child, until=patience, is_hurried=is_hurried)
        for post in self._posts:
            if post.child is not None:
                post.child.bury()
            self._pid_file(post).unlink(missing_ok=True)
            post.child = None
            post.log.close()

    def _children(self) -> list[Child]:
        return [post.child for post in self._posts if post.child is not None]

    def _wait_for_end(self, child: Child, *, until: float, is_hurried: Callable[[], bool]) -> None:
        while not child.wait(timeout_seconds=0.05):
            if time.monotonic() > until or is_hurried():
                self._say(f"{child.program.name} does not stop by itself; ending it.")
                break
        child.bury()

    def _open_log(self, name: str) -> ChildLog:
        return ChildLog(self._logs / f"{name}.log", prefix=name, alarm=self._say)

    def _launch(self, program: Program, log: ChildLog) -> Child:
        return Child(
            program,
            environment=self._environment,
            folder=self._folder,
            log=log,
            lifeline=self._lifeline,
        )

    def _spawn(self, post: Post, *, now: float) -> None:
        post.child = self._launch(post.program, post.log)
        post.started_at = now
        # For people: kill -9 $(cat var/run/terminals.pid)
        draft = self._pid_file(post).with_suffix(".new")
        try:
            draft.write_text(f"{post.child.pid}\n", encoding="ascii")
            draft.replace(self._pid_file(post))
        except OSError as error:  # a full disk is no reason to watch nothing any more
            self._say(f"{draft.name} could not be written: {error.strerror}.")

    def _pid_file(self, post: Post) -> Path:
        return self._run / f"{post.program.name}.pid"

    def _note_end(self, post: Post, child: Child, *, now: float) -> None:
        child.bury()
        self._on_end(child.pid)
        post.child = None
        if now - post.started_at > STEADY_SECONDS:
            post.failures = 0
        back_off = RESTART_DELAYS_SECONDS[min(post.failures, len(RESTART_DELAYS_SECONDS) - 1)]
        delay_seconds = min(back_off, post.program.longest_restart_seconds)
        post.failures += 1
        post.due_at = now + delay_seconds
        self._say(
            f"{post.program.name} ended ({_describe(child.exit_code())}); "
            f"starting it again in {delay_seconds:g} s."
        )


def _tell(children: Iterable[Child], told_at: dict[Child, float]) -> None:
    """Tell children to stop, each once: told twice, a worker drops what it is doing."""
    for child in children:
        if child not in told_at:
            child.signal(signal.SIGTERM)
            told_at[child] = time.monotonic()


def _describe(code: int | None) -> str:
    if code is not None and code < 0:
        return signal.Signals(-code).name
    return f"exit code {code}"


def _last_words(name: str, log: ChildLog) -> str:
    words = "\n".join(f"    {line}" for line in list(log.tail)[-12:])
    return f"{name} does not start. Its log is {log.path}; it ends with:\n{words}"
