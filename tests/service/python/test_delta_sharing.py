"""Outputs reach people through the released Delta Sharing clients, and stop reaching them.

A notebook of the media company replaces its output at each run, another appends; an analyst of the
media company reads both with the Python client, in both response formats.
"""

import json
import time
from urllib.parse import urlsplit

import delta_sharing
import deltalake
import duckdb
import polars
import pytest
import requests

import data
import rooms

ROOM = "measured"
APPEND = data.REACH.replace('name = "reach"', 'name = "history"').replace(
    "[outputs.reach]\n", '[outputs.reach]\nmode = "append"\n')


class Story:
    pass


@pytest.fixture(scope="module")
def story(world):
    story = Story()
    story.world = world
    story.retail = world.party("retail")
    story.media = world.party("media", remote=True)
    rooms.make_room(world, ROOM, story.retail, [story.media])
    rooms.offer_tables(ROOM, story.retail, story.media)
    rooms.offer_notebook(ROOM, "reach", data.REACH, story.media, [story.retail])
    rooms.offer_notebook(ROOM, "history", APPEND, story.media, [story.retail])
    for notebook in ("reach", "history"):
        for least in (20, 30):
            rooms.run(story.media, ROOM, notebook, f"least={least}")
    story.profile = story.media.home / "analyst.share"
    share(story, "recipient", ROOM, "analyst", "--expires", "30d", "-o", story.profile)
    share(story, "grant", ROOM, "analyst", "results", "--output", "reach")
    share(story, "grant", ROOM, "analyst", "results", "--output", "history.reach")
    return story


def share(story, *words, party=None):
    party = party or story.media
    return party.glovebox("share", *words, "--as", party.key, host=True)


def url(story, table):
    return f"{story.profile}#results.{table}"


def rows(frame):
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def get(story, path, profile=None, **options):
    profile = json.loads((profile or story.profile).read_text())
    headers = {"Authorization": f"Bearer {profile['bearerToken']}", **options.pop("headers", {})}
    return requests.request(options.pop("method", "GET"), profile["endpoint"].rstrip("/") + path,
                            headers=headers, timeout=60, **options)


def test_tables_are_listed(story):
    client = delta_sharing.SharingClient(str(story.profile))
    assert [found.name for found in client.list_shares()] == ["results"]
    tables = {(table.share, table.schema, table.name) for table in client.list_all_tables()}
    assert tables == {("results", "reach", "reach"), ("results", "history", "reach")}


@pytest.mark.parametrize("use_delta_format", [False, True])
def test_the_newest_version_is_read(story, use_delta_format):
    replaced = delta_sharing.load_as_pandas(url(story, "reach.reach"), use_delta_format=use_delta_format)
    assert rows(replaced) == data.overlap(30)
    appended = delta_sharing.load_as_pandas(url(story, "history.reach"), use_delta_format=use_delta_format)
    both = data.overlap(20) + data.overlap(30)
    assert sorted(map(str, rows(appended))) == sorted(map(str, both))


def test_an_earlier_version_is_read(story):
    newest = delta_sharing.get_table_version(url(story, "reach.reach"))
    earlier = delta_sharing.load_as_pandas(url(story, "reach.reach"), version=newest - 1)
    assert rows(earlier) == data.overlap(20)


def test_limits_are_kept(story):
    assert len(delta_sharing.load_as_pandas(url(story, "reach.reach"), limit=3)) == 3


@pytest.mark.parametrize("use_delta_format", [False, True])
def test_changes_are_read(story, use_delta_format):
    newest = delta_sharing.get_table_version(url(story, "history.reach"))
    changes = delta_sharing.load_table_changes_as_pandas(
        url(story, "history.reach"), starting_version=newest, use_delta_format=use_delta_format)
    assert set(changes["_change_type"]) == {"insert"}
    assert len(changes) == len(data.overlap(30))
    newest = delta_sharing.get_table_version(url(story, "reach.reach"))
    changes = delta_sharing.load_table_changes_as_pandas(
        url(story, "reach.reach"), starting_version=newest, use_delta_format=use_delta_format)
    counts = changes["_change_type"].value_counts().to_dict()
    assert counts == {"delete": len(data.overlap(20)), "insert": len(data.overlap(30))}


def test_spark_reads_by_the_protocol(story):
    """The Spark client's jar is not to be had here; this is what it sends, and what it insists on."""
    path = "/shares/RESULTS/schemas/Reach/tables/reach"
    headers = {"delta-sharing-capabilities":
               "responseformat=delta,parquet;readerfeatures=deletionvectors,columnmapping,timestampntz"}
    version = get(story, f"{path}/version", headers=headers)
    assert version.status_code == 200 and int(version.headers["Delta-Table-Version"]) >= 1
    body = {"limitHint": 10, "jsonPredicateHints": json.dumps(
        {"op": "equal", "children": [{"op": "column", "name": "segment", "valueType": "string"},
                                     {"op": "literal", "value": "a", "valueType": "string"}]})}
    answer = get(story, f"{path}/query", method="POST", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert "protocol" in lines[0] and "metaData" in lines[1] and len(lines) > 2
    assert all("endStreamAction" not in line for line in lines)
    file = lines[2]["file"]
    link = file.get("url") or file["deltaSingleAction"]["add"]["path"]
    part = requests.get(link, headers={"Range": "bytes=0-3"}, timeout=60)
    assert (part.status_code, part.content) == (206, b"PAR1")
    whole = requests.get(link, timeout=60)
    assert whole.status_code == 200 and whole.content[-4:] == b"PAR1"
    assert requests.get(link, headers={"Range": f"bytes={len(whole.content)}-"}, timeout=60).status_code == 416
    changed = requests.get(link[:-1] + ("0" if link[-1] != "0" else "1"), timeout=60)
    assert changed.status_code in (403, 404)
    story.link = link


def test_the_table_on_the_host_is_a_delta_table(story):
    """As its operator sees it, with readers that share no code with the host."""
    logs = sorted(story.world.host.home.glob("delta/**/reach/_delta_log"))
    assert len(logs) == 2
    for log in logs:
        table = deltalake.DeltaTable(log.parent)
        expected = data.overlap(30) if "history" not in str(log) else data.overlap(20) + data.overlap(30)
        found = table.to_pyarrow_table().to_pylist()
        assert sorted(map(str, found)) == sorted(map(str, expected))
        frame = polars.read_delta(str(log.parent))
        assert frame.height == len(expected)


def test_duckdb_and_polars_read_the_exported_file(story):
    file = story.media.home / "export.parquet"
    story.media.glovebox("output", "export", ROOM, "latest", "reach", "-o", file, "--as", story.media.key, host=True)
    expected = data.overlap(30)
    total = duckdb.sql(f"SELECT sum(reach) FROM '{file}'").fetchall()
    assert total == [(sum(row["reach"] for row in expected),)]
    assert polars.read_parquet(file).to_dicts() == expected


def test_the_host_dies_and_readers_go_on(story):
    story.world.host.kill_and_restart()
    assert rows(delta_sharing.load_as_pandas(url(story, "reach.reach"))) == data.overlap(30)
    rooms.run(story.media, ROOM, "reach", "least=40")
    assert rows(delta_sharing.load_as_pandas(url(story, "reach.reach"))) == data.overlap(40)


def test_reads_are_in_the_log(story):
    log = story.retail.glovebox("log", ROOM, "--as", story.retail.key, host=True)
    assert "shared-read" in log and "analyst" in log


def test_only_the_reader_of_outputs_may_share_them(story):
    done = story.retail.glovebox("share", "recipient", ROOM, "friend", "--expires", "1d", "-o",
                                 story.retail.home / "friend.share", "--as", story.retail.key, host=True, check=False)
    assert done.returncode == 0, done.stderr
    story.retail.glovebox("share", "grant", ROOM, "friend", "theirs", "--output", "reach", "--as",
                          story.retail.key, host=True, check=False)
    profile = story.retail.home / "friend.share"
    client = delta_sharing.SharingClient(str(profile))
    assert client.list_all_tables() == []
    assert get(story, "/shares/theirs/schemas/reach/tables/reach/version", profile).status_code == 404


def test_a_party_shares_a_table_of_its_own(story):
    """A prospect who tried in a room graduates to a share."""
    profile = story.retail.home / "prospect.share"
    share(story, "recipient", ROOM, "prospect", "--expires", "1d", "-o", profile, party=story.retail)
    share(story, "grant", ROOM, "prospect", "plain", "--table", "retail.customers", party=story.retail)
    frame = delta_sharing.load_as_pandas(f"{profile}#plain.retail.customers")
    assert rows(frame) == data.customers()
    done = story.media.glovebox("share", "grant", ROOM, "analyst", "stolen", "--table", "retail.customers",
                                "--as", story.media.key, host=True, check=False)
    assert done.returncode == 1 and "(not-permitted)" in done.stderr


def test_what_is_not_granted_is_missing(story):
    for path in ("/shares/plain", "/shares/no-such-share", "/shares/results/schemas/reach/tables/nothing/version",
                 "/shares/results/schemas/..%2f..%2f/tables/reach/version"):
        answer = get(story, path)
        assert answer.status_code == 404, (path, answer.text)
        assert answer.json()["errorCode"] == "RESOURCE_DOES_NOT_EXIST"
    profile = json.loads(story.profile.read_text())
    for token in ("", "wrong", profile["bearerToken"][:-1]):
        answer = requests.get(profile["endpoint"] + "/shares", headers={"Authorization": f"Bearer {token}"}, timeout=60)
        assert answer.status_code == 401
    assert get(story, "/shares?pageToken=forged").status_code == 400


def test_a_token_is_rotated_with_grace(story):
    old = story.profile.read_text()
    story.profile.unlink()
    share(story, "recipient", ROOM, "analyst", "--expires", "30d", "--rotate", "--grace", "1h", "-o", story.profile)
    before = story.media.home / "before.share"
    before.write_text(old)
    for profile in (before, story.profile):
        assert get(story, "/shares", profile).status_code == 200
    story.profile.unlink()
    share(story, "recipient", ROOM, "analyst", "--expires", "30d", "--rotate", "-o", story.profile)
    assert get(story, "/shares", before).status_code == 401
    assert get(story, "/shares").status_code == 200


def test_a_revoked_recipient_reads_nothing_more(story):
    answer = get(story, "/shares/results/schemas/reach/tables/reach/query", method="POST", json={})
    link = json.loads(answer.text.splitlines()[2])["file"]["url"]
    assert urlsplit(link).query and requests.get(link, timeout=60).status_code == 200
    share(story, "revoke", ROOM, "analyst")
    assert get(story, "/shares").status_code == 401
    time.sleep(0.2)
    # The URL was signed before; it dies with the grant.
    assert requests.get(link, timeout=60).status_code in (403, 404)
