"""A packaged room: the provider's code is hidden, the consumer runs it on its own data and alone reads
what comes out. And a room whose outputs all collaborators read.
"""

import json
from pathlib import Path

import pytest

import data
import rooms

# Compiled, for the host has to see the text of an SQL notebook.
SOURCE = Path(__file__).parent.parent / "score"

ROOM = "packaged"


def expected():
    sums = {}
    for row in data.customers():
        sums[row["segment"]] = sums.get(row["segment"], 0) + row["spend"]
    return [{"segment": segment, "spend": spend} for segment, spend in sorted(sums.items())]


@pytest.fixture(scope="module")
def story(world):
    class Story:
        consumer = world.party("retail")
        provider = world.party("vendor", remote=True)
    rooms.make_room(world, ROOM, Story.provider, [Story.consumer], 'package_provider = "vendor"')
    file = data.write_parquet(Story.consumer.home / "customers.parquet", data.customers())
    Story.consumer.glovebox("table", "add", ROOM, "retail.customers", "--from", file,
                            "--as", Story.consumer.key, host=True)
    Story.component = Story.provider.home / "score.wasm"
    Story.provider.glovebox("build", "--install-target", SOURCE, "--hidden", "-o", Story.component)
    Story.provider.glovebox("notebook", "add", ROOM, Story.component, "--runner", "retail",
                            "--as", Story.provider.key, host=True)
    Story.revision = rooms.revision(Story.consumer, ROOM, "score")
    return Story


def test_the_consumer_sees_names_and_the_readme_and_no_code(story):
    shown = story.consumer.glovebox("room", "show", ROOM, "--as", story.consumer.key, host=True, json_output=True)
    notebook = json.dumps(shown["notebooks"])
    assert "How much each segment spends" in notebook
    component = next(listed for listed in shown["notebooks"])
    assert component["revisions"][-1]["hidden"] is True
    form = story.consumer.glovebox("room", "form", ROOM, "score", "--as", story.consumer.key, host=True)
    assert "Fewest customers in a segment" in form and "least" in form


def test_the_consumer_runs_and_alone_reads(story):
    consumer, provider = story.consumer, story.provider
    consumer.glovebox("review", ROOM, "score", "--approve", story.revision, "--as", consumer.key, host=True)
    rooms.run(consumer, ROOM, "score")
    shown = consumer.glovebox("output", "show", ROOM, "latest", "--as", consumer.key, host=True, json_output=True)
    assert shown["scores"] == expected()
    runs = provider.glovebox("runs", ROOM, "--as", provider.key, host=True, json_output=True)
    assert len(runs) == 1, "the provider sees the run"
    done = provider.glovebox("output", "show", ROOM, "latest", "--as", provider.key, host=True, check=False)
    assert done.returncode == 1 and "(not-permitted)" in done.stderr


def test_only_the_provider_brings_code(story):
    consumer = story.consumer
    component = consumer.home / "mine.wasm"
    component.write_bytes(story.component.read_bytes())
    done = consumer.glovebox("notebook", "add", ROOM, component, "--runner", "retail",
                             "--as", consumer.key, host=True, check=False)
    assert done.returncode == 1 and "(not-permitted)" in done.stderr


def test_outputs_of_a_room_that_shares_them_reach_all(world, story):
    rooms.make_room(world, "shared", story.consumer, [story.provider], '[outputs]\nreaders = "all"')
    story.consumer.glovebox("table", "add", "shared", "retail.customers", "--from",
                            story.consumer.home / "customers.parquet", "--as", story.consumer.key, host=True)
    story.provider.glovebox("notebook", "add", "shared", story.component, "--runner", "retail",
                            "--as", story.provider.key, host=True)
    revision = rooms.revision(story.consumer, "shared", "score")
    story.consumer.glovebox("review", "shared", "score", "--approve", revision, "--as", story.consumer.key, host=True)
    rooms.run(story.consumer, "shared", "score")
    for party in (story.consumer, story.provider):
        shown = party.glovebox("output", "show", "shared", "latest", "--as", party.key, host=True, json_output=True)
        assert shown["scores"] == expected()


def test_a_reviewer_sees_what_changed_although_the_code_is_hidden(story):
    consumer, provider = story.consumer, story.provider
    consumer.glovebox("rule", "add", ROOM, "same", "--author", "vendor", "--runner", "retail", "--if-not-grown",
                      "--if-same-outputs", "--as", consumer.key, host=True)
    consumer.glovebox("table", "add", ROOM, "retail.clients", "--from", consumer.home / "customers.parquet",
                      "--as", consumer.key, host=True)
    provider.glovebox("notebook", "add", ROOM, story.component, "--runner", "retail",
                      "--bind", "retail.customers=retail.clients", "--as", provider.key, host=True)
    second = rooms.revision(consumer, ROOM, "score")
    assert second != story.revision
    # Another table is more than before, so the rule leaves it to the consumer.
    refused = consumer.glovebox("run", ROOM, "score", "--revision", second, "--as", consumer.key, host=True, check=False)
    assert refused.returncode == 1 and "(not-approved)" in refused.stderr, refused.stderr
    shown = consumer.glovebox("review", ROOM, "score", "--approve", second, "--as", consumer.key, host=True)
    assert "for retail.customers it reads retail.clients, was retail.customers" in shown, shown
    rooms.run(consumer, ROOM, "score")
    runs = consumer.glovebox("runs", ROOM, "--as", consumer.key, host=True, json_output=True)
    assert runs[-1]["outcome"] == "succeeded" and runs[-1]["rules"] == {}, "by the consumer's own signature"
