"""A packaged room: the provider's code is hidden, the consumer runs it on its own data and alone reads
what comes out. And a room whose outputs all collaborators read.
"""

import json

import pytest

import data
import rooms

SCORE = """/* glovebox notebook
name = "score"
version = "1.0.0"
description = "How much each segment spends. Add a table `retail.customers` and run."
[inputs."retail.customers"]
columns = { segment = "utf8", spend = "int64" }
[parameters.least]
type = "int64"
description = "Fewest customers in a segment"
default = 3
minimum = 1
[outputs.scores]
columns = ["segment utf8", "spend int64"]
*/
CREATE TABLE output.scores AS
SELECT segment, sum(spend) AS spend FROM retail.customers GROUP BY segment HAVING count(*) >= :least ORDER BY 1;
"""

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
    source = Story.provider.write("score.sql", SCORE)
    Story.component = Story.provider.home / "score.wasm"
    Story.provider.glovebox("build", source, "--hidden", "-o", Story.component)
    Story.provider.glovebox("notebook", "add", ROOM, Story.component, "--runner", "retail",
                            "--as", Story.provider.key, host=True)
    Story.revision = rooms.revision(Story.consumer, ROOM, "score")
    return Story


def test_the_consumer_sees_names_and_the_readme_and_no_code(story):
    shown = story.consumer.glovebox("room", "show", ROOM, "--as", story.consumer.key, host=True, json_output=True)
    notebook = json.dumps(shown["notebooks"])
    assert "How much each segment spends" in notebook
    assert "sum(spend)" not in json.dumps(shown)
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
    source = consumer.write("mine.sql", SCORE.replace('"score"', '"mine"'))
    component = consumer.home / "mine.wasm"
    consumer.glovebox("build", source, "--hidden", "-o", component)
    done = consumer.glovebox("notebook", "add", ROOM, component, "--runner", "retail",
                             "--as", consumer.key, host=True, check=False)
    assert done.returncode == 1 and "(not-permitted)" in done.stderr


def test_outputs_of_a_room_that_shares_them_reach_all(world, story):
    rooms.make_room(world, "shared", story.consumer, [story.provider], '[outputs]\nreaders = "all"')
    story.consumer.glovebox("table", "add", "shared", "retail.customers", "--from",
                            story.consumer.home / "customers.parquet", "--as", story.consumer.key, host=True)
    rooms.offer_notebook("shared", "score", SCORE, story.provider, [story.consumer], runner=story.consumer)
    rooms.run(story.consumer, "shared", "score")
    for party in (story.consumer, story.provider):
        shown = party.glovebox("output", "show", "shared", "latest", "--as", party.key, host=True, json_output=True)
        assert shown["scores"] == expected()
