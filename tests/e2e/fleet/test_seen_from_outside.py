"""Logs and metrics of a controller and an agent as a lab runs them."""

import json
import re
import socket
import threading
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from fleetnas_controller.client import FleetClient
from fleetnas_controller.jobs import MeasurementState
from fleetnas_controller.operator import operator_token
from fleetnas_search_spaces.errors import UnavailableError


def free_address() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


def test_logs_are_json_with_ids_and_without_secrets(
    processes: Any, measure: Callable[..., Any], until: Any, online: Any, tmp_path: Path
) -> None:
    address, data_dir = free_address(), tmp_path / "fleet"
    logging = ["--log-format", "json", "--log-level", "debug"]
    serving = [
        "serve",
        "--listen",
        address,
        "--data-dir",
        str(data_dir),
        "--health-interval",
        "off",
        *logging,
    ]
    controller = processes.start(["fleetnas_controller.cli", *serving])
    until((data_dir / "operator.token").exists)
    secret = operator_token(data_dir)
    with FleetClient(address, secret) as client:
        until(lambda: answers(client))
        token = client.create_join_token(device_id="a").secret
        table, state = str(tmp_path / "table.csv"), str(tmp_path / "agent")
        driving = ["--driver", "replay", "--table", table, "--state-dir", state]
        agent = processes.start(
            ["fleetnas_agents.cli", "--controller", address, *driving, *logging], FLEETNAS_TOKEN=token
        )
        online(client)
        (record,) = client.wait_any([measure(client).name], 20.0)
        assert record.state is MeasurementState.DONE
    credential = (tmp_path / "agent" / "credential").read_text().strip()
    said = {}
    for name, process in (("controller", controller), ("agent", agent)):
        process.terminate()
        said[name] = process.communicate(timeout=20)[1]
    lines = [json.loads(line) for line in said["controller"].splitlines() if line.startswith("{")]
    jobs = [one for one in lines if one.get("job") == "measurements/m"]
    assert [one["state"] for one in jobs] == ["queued", "leased", "done"]
    assert jobs[-1]["device"] == "devices/a"
    taken = [json.loads(line) for line in said["agent"].splitlines() if line.startswith("{")]
    assert any(one.get("job") == "measurements/m" for one in taken)
    for secret_text in (secret, token, credential):
        assert secret_text not in said["controller"] + said["agent"]


def test_metrics_are_served_while_the_controller_runs(
    serve: Any, processes: Any, measure: Callable[..., Any], online: Any, until: Any, tmp_path: Path
) -> None:
    address = free_address()
    served = serve(metrics_listen=address)
    processes.agent(served.address, served.client.create_join_token(device_id="a").secret)
    online(served.client)
    served.client.wait_any([measure(served.client).name], 20.0)
    text = until(lambda: with_device(address))
    assert re.search(r'fleetnas_jobs_finished_total\{state="done"\} 1\.0', text)
    assert re.search(r"fleetnas_dispatch_seconds_count 1\.0", text)
    assert "devices/a" not in text


def test_spans_arrive_where_the_environment_says(
    serve: Any, processes: Any, measure: Callable[..., Any], online: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("opentelemetry.sdk")
    received: list[bytes] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as collector:
        threading.Thread(target=collector.serve_forever, daemon=True).start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_port}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
        served = serve(traced=True)
        processes.agent(served.address, served.client.create_join_token(device_id="a").secret)
        online(served.client)
        served.client.wait_any([measure(served.client).name], 20.0)
        serve()  # ends the first, which sends what it still has
        collector.shutdown()
    sent = b"".join(received)
    for text in (b"fleetnas-controller", b"measurement", b"attempt", b"measurements/m", b"devices/a"):
        assert text in sent


def with_device(address: str) -> str:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        text = str(answer.read().decode())
    return text if 'fleetnas_devices{state="online"} 1.0' in text else ""


def answers(client: FleetClient) -> bool:
    try:
        client.list_devices()
    except UnavailableError:
        return False
    return True
