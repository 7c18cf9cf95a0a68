"""The host's own API against its OpenAPI document: schemathesis finds no 5xx and no undocumented status,
whether a stranger asks or a party of a room.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests

import data
import rooms

ROOM = "tried"


@pytest.fixture(scope="module")
def party(world):
    """A party of a room with a run, an output and a recipient."""
    retail, media = world.party("retail"), world.party("media")
    rooms.make_room(world, ROOM, media, [retail])
    rooms.offer_tables(ROOM, retail, media)
    rooms.offer_notebook(ROOM, "reach", data.REACH, media, [retail])
    rooms.run(media, ROOM, "reach")
    media.profile = media.home / "reader.share"
    for words in (["recipient", ROOM, "reader", "--expires", "1d", "-o", media.profile],
                  ["grant", ROOM, "reader", "results", "--output", "reach"]):
        media.glovebox("share", *words, "--as", media.key, host=True)
    return media


def schemathesis(world, configuration, environment):
    command = [os.path.join(os.path.dirname(sys.executable), "schemathesis"), "--config-file", configuration,
               "run", f"{world.host.url}/openapi.json", "--checks", "not_a_server_error,status_code_conformance",
               "--max-examples", "15", "--phases", "examples,coverage,fuzzing", "--seed", "7",
               "--workers", "2", "--suppress-health-check", "all"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), **environment}
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=600,
                          env=environment, cwd=world.directory)
    print(done.stdout[-1500:])
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    return done.stdout


def test_no_request_of_a_stranger_makes_the_host_fail(world):
    document = requests.get(f"{world.host.url}/openapi.json", timeout=30)
    document.raise_for_status()
    assert document.json()["openapi"].startswith("3.")
    configuration = world.directory / "stranger.toml"
    configuration.write_text("")
    schemathesis(world, configuration, {})


def test_no_request_of_a_party_makes_the_host_fail(world, party):
    profile = json.loads(party.profile.read_text())
    room = profile["endpoint"].rsplit("/", 1)[-1]
    shown = party.glovebox("runs", ROOM, "--as", party.key, host=True, json_output=True)
    known = {"id": room, "room": room, "share": "results", "schema": "reach", "table": "reach",
             "run": shown[-1]["run"]}
    configuration = world.directory / "party.toml"
    # A long poll with nothing to come takes as long as it was asked to, so none is asked to.
    configuration.write_text('hooks = "signing"\n[parameters]\n' + "".join(
        f'"path.{name}" = "{value}"\n' for name, value in known.items()) + '"query.wait_seconds" = 0\n')
    host = requests.get(f"{world.host.url}/v1/host", timeout=30).json()
    before = requests.get(f"{world.host.url}/metrics", timeout=30).text
    schemathesis(world, configuration, {"SIGNING_KEY": str(party.key), "SIGNING_HOST": host["host_key"],
                                        "SHARING_TOKEN": profile["bearerToken"]})
    # The requests got past the door: some were answered.
    after = requests.get(f"{world.host.url}/metrics", timeout=30).text
    assert answered(after) > answered(before) + 20


def answered(metrics):
    """How many requests for a room's log were answered with it."""
    return sum(float(line.rsplit(" ", 1)[1]) for line in metrics.splitlines()
               if "http_requests_total" in line and "/v1/rooms/{id}/log" in line and 'status="200"' in line)


def test_the_host_is_well_afterwards(world):
    assert requests.get(f"{world.host.url}/healthz", timeout=30).status_code == 200
    metrics = requests.get(f"{world.host.url}/metrics", timeout=30)
    assert metrics.status_code == 200 and "http_requests" in metrics.text
    assert requests.get(f"{world.host.url}/v1/host", timeout=30).json()["egress"] == "none"
