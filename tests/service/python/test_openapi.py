"""The host's own API against its OpenAPI document: schemathesis finds no 5xx and nothing undocumented."""

import json
import os
import subprocess
import sys

import requests


def test_no_request_makes_the_host_fail(world):
    document = requests.get(f"{world.host.url}/openapi.json", timeout=30)
    document.raise_for_status()
    assert document.json()["openapi"].startswith("3.")
    command = [os.path.join(os.path.dirname(sys.executable), "schemathesis"), "run",
               f"{world.host.url}/openapi.json", "--checks", "not_a_server_error,status_code_conformance",
               "--max-examples", "20", "--phases", "examples,coverage,fuzzing", "--seed", "7",
               "--workers", "2", "--suppress-health-check", "all"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


def test_the_host_is_well_afterwards(world):
    assert requests.get(f"{world.host.url}/healthz", timeout=30).status_code == 200
    metrics = requests.get(f"{world.host.url}/metrics", timeout=30)
    assert metrics.status_code == 200 and "http_requests" in metrics.text
    assert json.loads(requests.get(f"{world.host.url}/v1/host", timeout=30).text)["egress"] == "none"
