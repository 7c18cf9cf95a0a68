"""What happened in rooms, by SQL and by Delta Sharing: for a host, for a party, for an auditor.

The story is the README's tour over the network. Its query is run exactly as it stands there.
"""

import json
import os
import re
import subprocess
from decimal import Decimal
from pathlib import Path

import delta_sharing
import duckdb
import pyarrow.parquet as pq
import pytest

import rooms
from world import GLOVEBOX, clean_environment

REPOSITORY = Path(__file__).parents[3]
EXAMPLE = REPOSITORY / "examples/flights-weather"
ROOM = "flights-and-weather"
BILLING = '[billing]\ncurrency = "EUR"\ncpu_second = "0.05"\ngib_second = "0.01"\ngib_in = "0.5"'


class Story:
    pass


@pytest.fixture(scope="module")
def story(world):
    story = Story()
    story.world = world
    story.airline = world.party("airline")
    story.weather = world.party("weather", remote=True)
    rooms.make_room(world, ROOM, story.airline, [story.weather], settings=BILLING)
    for party, table, file in ((story.airline, "flights", "flights_january.parquet"),
                               (story.weather, "hourly", "weather_january.parquet")):
        copy = party.home / file
        copy.write_bytes((EXAMPLE / "data" / file).read_bytes())
        party.glovebox("table", "add", ROOM, f"{party.alias}.{table}", "--from", copy,
                       "--as", party.key, host=True)
    story.revision = rooms.offer_notebook(
        ROOM, "delay-by-wind", (EXAMPLE / "delay-by-wind.sql").read_text(), story.weather,
        [story.airline], runner=story.airline)
    story.runs = [rooms.run(story.airline, ROOM, "delay-by-wind", f"min_group={least}")
                  for least in (50, 60)]
    story.airline.glovebox("output", "show", ROOM, "latest", "--as", story.airline.key, host=True)
    # The author is no runner. The room says no, and its log says so.
    denied = story.weather.glovebox("run", ROOM, "delay-by-wind", "--as", story.weather.key,
                                    host=True, check=False)
    assert denied.returncode == 1 and "not-a-runner" in denied.stderr
    # Another room of the same host, in which the weather agency is not.
    rooms.make_room(world, "alone", story.airline, [])
    return story


def command_of_readme():
    """The command with THE query, as text for a shell, and what the README says it prints."""
    text = (REPOSITORY / "README.md").read_text()
    found = re.search(r'^    (glovebox audit --all --sql "\n(?:    .*\n)+?.*")\n\n((?:    .*\n)+)', text, re.MULTILINE)
    assert found, "the README shows no query"
    return found[1], "".join(line[4:] for line in found[2].splitlines(keepends=True))


def query_of_readme():
    command, _ = command_of_readme()
    return re.search(r'--sql "(.*)"', command, re.DOTALL)[1]


def on_host(story, *words, check=True):
    """A command of the operator, in the home of the host that runs."""
    done = subprocess.run([GLOVEBOX, "--home", str(story.world.host.home), *map(str, words)],
                          env=clean_environment(story.world.host.home), capture_output=True, text=True)
    if check:
        assert done.returncode == 0, done.stderr
    return done


def shape(printed):
    """Names and texts of a printed table, without the figures of cost, which are of the machine."""
    lines = [line for line in printed.splitlines() if line.strip() and set(line.strip()) - set("─ ")]
    return [re.sub(r"\d+\.\d+", "#", " ".join(line.split())) for line in lines]


def test_the_query_of_the_readme_answers(story):
    command, expected = command_of_readme()
    path = story.world.directory / "bin"
    path.mkdir()
    (path / "glovebox").symlink_to(GLOVEBOX)
    environment = clean_environment(story.world.host.home)
    environment |= {"PATH": f"{path}:{environment['PATH']}", "GLOVEBOX_HOME": str(story.world.host.home)}
    done = subprocess.run(["sh", "-c", command], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    assert shape(done.stdout) == shape(expected)


def test_a_party_gets_the_same_answer_from_the_log_that_it_checked(story):
    rows = json.loads(on_host(story, "audit", "--all", "--sql", query_of_readme(), "--json").stdout)
    for party in (story.airline, story.weather):
        own = party.glovebox("audit", "--all", "--sql", query_of_readme(), "--as", party.key,
                             host=True, json_output=True)
        assert own == rows
        named = party.glovebox("audit", ROOM, "--sql", query_of_readme(), "--as", party.key,
                               host=True, json_output=True)
        assert named == rows
    done, refused = rows
    assert (done["who"], done["what"], done["whose_data"]) == ("airline", "delay-by-wind", "airline + weather")
    assert (done["times"], done["outcome"], done["currency"]) == (2, "done", "EUR")
    assert (refused["who"], refused["outcome"], refused["times"]) == ("weather", "not-a-runner", 1)
    assert refused["cost"] is None


def test_the_cost_is_what_the_receipts_and_the_prices_say(story):
    rows = json.loads(on_host(story, "audit", ROOM, "--json", "--sql",
                              "SELECT run_id, cast(cost AS varchar) AS cost, bytes_in, payer FROM runs").stdout)
    files = [(EXAMPLE / "data" / name).stat().st_size
             for name in ("flights_january.parquet", "weather_january.parquet")]
    for row, run in zip(rows, story.runs, strict=True):
        assert (row["run_id"], row["payer"], row["bytes_in"]) == (run["run"], "airline", sum(files))
        usage, gib = run["receipt"]["usage"], Decimal(1 << 30)
        cost = (Decimal(usage["cpu_ms"]) / 1000 * Decimal("0.05")
                + Decimal(usage["memory_bytes"]) / gib * Decimal(usage["wall_ms"]) / 1000 * Decimal("0.01")
                + Decimal(sum(files)) / gib * Decimal("0.5"))
        assert abs(Decimal(row["cost"]) - cost) <= Decimal("0.000000001")


def test_events_are_listed_for_people_and_written_for_machines(story):
    listed = on_host(story, "audit", "--all").stdout
    for word in ("CLEAN_ROOM_CREATED", "RUN_NOTEBOOK_STARTED", "OUTPUT_READ", "REQUEST_REFUSED", "alone"):
        assert word in listed
    file = story.world.directory / "events.parquet"
    on_host(story, "audit", ROOM, "-o", file)
    table = pq.read_table(file)
    entries = json.loads(on_host(story, "log", ROOM, "--json").stdout)["entries"]
    assert table["position"].to_pylist() == [entry["position"] for entry in entries]
    assert table["statement_digest"].to_pylist() == [entry["digest"] for entry in entries]
    kinds = duckdb.sql(f"SELECT run_notebook_completed_metadata.state AS state, count(*) FROM '{file}' "
                       "WHERE event_type = 'RUN_NOTEBOOK_COMPLETED' GROUP BY 1").fetchall()
    assert kinds == [("SUCCESS", 2)]
    columns = json.loads(on_host(story, "audit", "--columns", "--json").stdout)
    assert [column["column"] for column in columns if column["table"] == "events"] == table.column_names


@pytest.mark.parametrize("sql, reason", [
    ("SELECT * FROM read_csv('/etc/passwd')", "sql-refused"),
    ("SELECT * FROM '/etc/passwd'", "table-not-granted"),
    ("DROP TABLE events", "sql-refused"),
    ("SELECT now() FROM clock", "sql-refused"),
    ("SELECT nothing FROM events", "column-not-granted"),
])
def test_a_query_reads_these_tables_and_nothing_else(story, sql, reason):
    done = on_host(story, "audit", "--all", "--sql", sql, "--json", check=False)
    assert done.returncode == 1 and json.loads(done.stderr)["reason"] == reason
    assert done.stdout == ""


def test_a_room_that_is_damaged_does_not_hide_the_others(story):
    directory = story.world.host.home / "rooms" / ("00" * 32)
    directory.mkdir()
    try:
        done = on_host(story, "audit", "--all", check=False)
    finally:
        directory.rmdir()
    assert done.returncode == 1, "the answer is not whole"
    assert "warning: the room " + "00" * 32 in done.stderr
    assert "RUN_NOTEBOOK_COMPLETED" in done.stdout
    assert on_host(story, "audit", "no-such-room", check=False).returncode == 1
    assert on_host(story, "audit", check=False).returncode == 2


def test_an_auditor_asks_a_bundle_and_no_host(story, tmp_path):
    bundle = tmp_path / "room.bundle"
    on_host(story, "bundle", ROOM, "-o", bundle)
    expected = json.loads(on_host(story, "audit", ROOM, "--sql", query_of_readme(), "--json").stdout)

    def ask(*words):
        command = [GLOVEBOX, "--home", str(tmp_path / "none"), "audit", *map(str, words), "--json"]
        return subprocess.run(command, env=clean_environment(tmp_path), capture_output=True, text=True)

    answer = ask("--bundle", bundle, "--sql", query_of_readme())
    assert (answer.returncode, json.loads(answer.stdout)) == (0, expected)
    assert not (tmp_path / "none").exists()
    twice = ask("--bundle", bundle, "--bundle", bundle, "--sql", "SELECT count(*) AS n FROM runs")
    assert json.loads(twice.stdout) == [{"n": 4}]
    changed = tmp_path / "changed.bundle"
    text = bundle.read_bytes()
    entries = json.loads(text)["entries"]
    # An entry goes, and the checkpoint is over another log.
    shorter = json.loads(text) | {"entries": entries[:-1]}
    changed.write_text(json.dumps(shorter, sort_keys=True, separators=(",", ":"), ensure_ascii=False))
    refused = ask("--bundle", changed)
    assert refused.returncode == 1 and json.loads(refused.stderr)["reason"] == "log-tampered"


@pytest.fixture(scope="module")
def auditor(story):
    profile = story.weather.home / "auditor.share"
    for words in (["recipient", ROOM, "auditor", "--expires", "90d", "-o", profile],
                  ["grant", ROOM, "auditor", "audit", "--events"]):
        story.weather.glovebox("share", *words, "--as", story.weather.key, host=True)
    return profile


@pytest.mark.parametrize("use_delta_format", [False, True])
def test_an_auditor_reads_events_and_runs_with_the_released_client(story, auditor, use_delta_format):
    client = delta_sharing.SharingClient(str(auditor))
    assert {(table.schema, table.name) for table in client.list_all_tables()} == {
        ("audit", "events"), ("audit", "runs")}
    events = delta_sharing.load_as_pandas(f"{auditor}#audit.audit.events", use_delta_format=use_delta_format)
    entries = json.loads(on_host(story, "log", ROOM, "--json").stdout)["entries"]
    known = [entry["digest"] for entry in entries][:len(events)]
    assert sorted(events["statement_digest"]) == sorted(known)
    assert len(events) >= len(entries) - 2, "all but the reads of this table"
    refused = events[events["event_type"] == "REQUEST_REFUSED"]
    assert refused["reason"].tolist() == ["not-a-runner"]
    created = events[events["event_type"] == "CLEAN_ROOM_CREATED"].iloc[0]
    parties = created["clean_room_created_metadata"]["collaborators"]
    assert [party["collaborator_alias"] for party in parties] == ["airline", "weather"]
    runs = delta_sharing.load_as_pandas(f"{auditor}#audit.audit.runs", use_delta_format=use_delta_format)
    assert runs["run_id"].tolist() == [run["run"] for run in story.runs]
    assert runs["runner"].tolist() == ["airline", "airline"]
    assert all(cost > 0 for cost in runs["cost"])


def test_a_read_by_the_auditor_is_an_event(story, auditor):
    delta_sharing.load_as_pandas(f"{auditor}#audit.audit.events")
    reads = json.loads(on_host(
        story, "audit", ROOM, "--json", "--sql",
        "SELECT output_read_metadata['recipient'] AS recipient, output_read_metadata['output'] AS what "
        "FROM events WHERE event_type = 'SHARED_TABLE_READ' ORDER BY position").stdout)
    assert {"recipient": "auditor", "what": "audit:events"} in reads
    assert os.path.exists(auditor)


def test_a_share_that_is_revoked_tells_no_more(story, auditor):
    story.weather.glovebox("share", "revoke", ROOM, "auditor", "audit", "--as", story.weather.key, host=True)
    with pytest.raises(Exception, match="RESOURCE_DOES_NOT_EXIST|404"):
        delta_sharing.load_as_pandas(f"{auditor}#audit.audit.events")
