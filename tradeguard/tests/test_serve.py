"""`serve` as a real process: what a person who starts, disturbs and stops it goes through."""

import json
import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from tradeguard.tests.served_desk import ServedDesk, free_port, is_running, run_serve, wait_until


def first_group_risk(desk: ServedDesk, token: str) -> Any:
    _, groups = desk.get("/api/v1/groups", token=token)
    return desk.get(f"/api/v1/groups/{groups['results'][0]['id']}/risk", token=token)[1]


def is_fresh(risk: Any) -> bool:
    ages = [account["reading_age_seconds"] for account in risk["accounts"]]
    return not risk["unknown_accounts"] and all(age is not None and age < 2 for age in ages)


def test_it_says_where_the_desk_is_and_how_to_sign_in(desk: ServedDesk) -> None:
    assert desk.url == f"http://127.0.0.1:{desk.port}"
    status, health = desk.get("/health/ready")
    assert (status, health["failed"]) == (200, [])
    assert set(health["parts"]) == {"database", "redis", "broker", "tick:local"}
    token = desk.sign_in()
    assert desk.get("/api/v1/groups", token=token)[1]["count"] == 3
    assert desk.get("/api/v1/accounts", token=token)[1]["count"] == 16


def test_the_desk_is_alive(desk: ServedDesk) -> None:
    token = desk.sign_in()
    wait_until(lambda: is_fresh(first_group_risk(desk, token)), "every account is read")
    before = first_group_risk(desk, token)
    wait_until(lambda: first_group_risk(desk, token)["rules"] != before["rules"], "the risk moves")


def test_nothing_alarming_is_said_or_logged(desk: ServedDesk) -> None:
    assert [line for line in desk.lines if line.startswith("[")] == []
    for log in (desk.home / "logs").glob("*.log"):
        text = log.read_text()
        assert "Traceback" not in text, f"{log.name}:\n{text[-4_000:]}"


def test_what_the_desk_keeps_is_private(desk: ServedDesk) -> None:
    files = [path for path in desk.home.rglob("*") if path.is_file()]
    assert (desk.home / "tradeguard.sqlite3") in files
    readable = [
        path
        for path in files
        if path.stat().st_mode & 0o077
        and not any(parent.stat().st_mode & 0o077 == 0 for parent in path.parents)
    ]
    assert readable == []


def test_a_second_serve_on_the_same_home_is_refused(desk: ServedDesk) -> None:
    with run_serve(desk.home, port=free_port()) as second:
        output, _ = second.communicate(timeout=60)
    assert second.returncode == 1
    assert f"TradeGuard is already running on {desk.home} (process {desk.process.pid})" in output
    assert "Traceback" not in output


def test_a_port_in_use_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with run_serve(tmp_path, port=port) as serve:
            output, _ = serve.communicate(timeout=60)
    assert serve.returncode == 1
    assert f"Port {port} is in use." in output
    assert "Traceback" not in output
    assert not list((tmp_path / "run").glob("*.pid"))
    assert not (tmp_path / "tradeguard.sqlite3").exists()


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("EURUSD_M1_202511030000_202511142359.csv", "a shopping list\n", "line 1: the first line"),
        ("notes.csv", "", "the name should be like"),
    ],
)
def test_a_file_that_is_no_bar_export_is_named(
    tmp_path: Path, name: str, text: str, complaint: str
) -> None:
    prices = tmp_path / "prices"
    prices.mkdir()
    (prices / name).write_text(text)
    with run_serve(tmp_path / "home", "--prices", str(prices), port=free_port()) as serve:
        output, _ = serve.communicate(timeout=60)
    assert serve.returncode == 1
    assert name in output
    assert complaint in output
    assert "Traceback" not in output


def test_a_killed_worker_comes_back_with_its_sessions(desk: ServedDesk) -> None:
    token = desk.sign_in()
    wait_until(lambda: is_fresh(first_group_risk(desk, token)), "every account is read")
    baselines = (
        "SELECT rule_id, account_id, started_at, day_started_at, day_balance, day_equity "
        "FROM risk_rulestate ORDER BY rule_id, account_id"
    )
    before = desk.rows(baselines)
    breaches = {row[0] for row in desk.rows("SELECT id FROM risk_rulebreach")}
    killed = desk.pid("terminals")
    # While serve stands still it starts nothing again, however fast this machine is.
    desk.process.send_signal(signal.SIGSTOP)
    try:
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: not is_fresh(first_group_risk(desk, token)), "the risk shows stale")
    finally:
        desk.process.send_signal(signal.SIGCONT)
    wait_until(lambda: desk.pid("terminals") != killed, "the worker is started again")
    wait_until(lambda: is_fresh(first_group_risk(desk, token)), "every account is read again")
    assert desk.rows(baselines) == before
    assert breaches <= {row[0] for row in desk.rows("SELECT id FROM risk_rulebreach")}


def test_a_killed_serve_takes_everything_with_it_and_starts_again(desk: ServedDesk) -> None:
    password, pids = desk.password, desk.pids()
    desk.kill()
    wait_until(lambda: not any(map(is_running, pids)), "all children are gone")
    desk.start()
    assert desk.password == password
    kept = json.loads((desk.home / "demo-users.json").read_text())
    assert {row["username"] for row in kept} == {"maya", "jonas", "staff"}
    living = (
        "SELECT count(*) FROM accounts_connectedaccount"
        " WHERE archived_at IS NULL AND server <> 'ScenarioMarkets-Demo'"
    )
    assert desk.rows(living) == [(19,)]


def test_sigterm_stops_everything(desk: ServedDesk) -> None:
    pids = desk.pids()
    try:
        assert desk.stop() == 0
        assert not any(map(is_running, pids))
        assert desk.lines[-2:] == ["Stopping …", "TradeGuard has stopped."]
        assert not list((desk.home / "run").glob("*.pid"))
    finally:
        desk.kill()
        desk.start()
