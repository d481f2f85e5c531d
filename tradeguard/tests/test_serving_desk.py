"""What a desk waits for before it says that it is ready."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tradeguard.serving.desk import Desk, DeskOptions


@contextmanager
def web(failed: list[str]) -> Iterator[int]:
    """Answer as /health/ready does while these parts fail; give the port."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"failed": failed}).encode()
            self.send_response(503 if failed else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def desk_at(port: int, home: Path) -> Desk:
    options = DeskOptions(home, home / "broker", port, host="local", redis_url=None)
    return Desk(options, say=lambda _line: None, sign_in=str)


@pytest.mark.parametrize(
    ("failed", "is_ready"),
    [
        ([], True),
        (["tick:elsewhere"], True),
        (["tick:local"], False),
        (["tick:elsewhere", "tick:local"], False),
        (["tick:elsewhere", "database"], False),
    ],
)
def test_it_waits_for_what_runs_here_and_for_no_worker_of_another_host(
    failed: list[str], is_ready: bool, tmp_path: Path
) -> None:
    with web(failed) as port:
        assert desk_at(port, tmp_path)._is_ready() is is_ready


def test_it_is_not_ready_while_nobody_answers(tmp_path: Path) -> None:
    with web([]) as port:
        pass
    assert not desk_at(port, tmp_path)._is_ready()
