"""Every command over the network: keys stay with their party, files are uploaded, nothing is trusted.

The media company is in another network than the host; neither party can see the host's files.
"""

import json
import subprocess
import time

import pytest

import data
import rooms

ROOM = "reach"


@pytest.fixture(scope="module")
def story(world):
    class Story:
        retail = world.party("retail")
        media = world.party("media", remote=True)
        stranger = world.party("stranger")
    rooms.make_room(world, ROOM, Story.retail, [Story.media])
    rooms.offer_tables(ROOM, Story.retail, Story.media)
    Story.digest = rooms.offer_notebook(ROOM, "reach", data.REACH, Story.media, [Story.retail])
    Story.world = world
    return Story


def test_a_party_sees_nothing_of_the_host_but_its_answers(story):
    """The set-up itself: no file of the host, and for one party another network."""
    def look(party, script):
        command = [*party.prefix(), "sh", "-c", script]
        return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    for party in (story.retail, story.media):
        assert look(party, f"ls {story.world.host.home} 2>/dev/null").stdout == ""
    assert "10.77.0.2" in look(story.media, "ip address").stdout
    assert "10.77.0.2" not in look(story.retail, "ip address").stdout


def test_a_run_gives_what_the_data_says(story):
    rooms.run(story.media, ROOM, "reach", "least=20")
    shown = story.media.glovebox("output", "show", ROOM, "latest", "--as", story.media.key, "--rows", "1000",
                                 host=True, json_output=True)
    assert shown["reach"] == data.overlap(20)
    file = story.media.home / "reach.parquet"
    story.media.glovebox("output", "export", ROOM, "latest", "reach", "-o", file, "--as", story.media.key, host=True)
    import pyarrow.parquet as pq
    assert pq.read_table(file).to_pylist() == data.overlap(20)


def refused(party, *words):
    done = party.glovebox(*words, host=True, check=False)
    assert done.returncode == 1, done
    return done.stderr


def test_refusals_come_with_their_reason(story):
    retail, media, stranger = story.retail, story.media, story.stranger
    assert "(not-a-runner)" in refused(retail, "run", ROOM, "reach", "--as", retail.key)
    assert "(not-permitted)" in refused(retail, "output", "show", ROOM, "latest", "--as", retail.key)
    assert "(parameter-invalid)" in refused(media, "run", ROOM, "reach", "--param", "least=1", "--as", media.key)
    # A room that one is no member of is not there.
    assert "(not-found)" in refused(stranger, "room", "show", ROOM, "--as", stranger.key)
    listed = stranger.glovebox("room", "list", "--as", stranger.key, host=True, json_output=True)
    assert listed in ([], {"rooms": []})


def test_the_log_verifies_with_a_file_of_the_party(story):
    bundle = story.media.home / "room.bundle"
    story.media.glovebox("bundle", ROOM, "-o", bundle, "--as", story.media.key, host=True)
    said = story.media.glovebox("verify", bundle, "--output", story.media.home / "reach.parquet",
                                "--component", story.media.home / "reach.wasm")
    assert "verified" in said


def test_a_restarted_host_ends_the_run_that_it_left(story):
    rooms.offer_notebook(ROOM, "slow", data.SLOW, story.media, [story.retail])
    command = story.media.command("run", ROOM, "slow", "--json", "--as", story.media.key,
                                  "--host", story.world.host.url)
    running = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)

    def started():
        log = story.retail.glovebox("log", ROOM, "--as", story.retail.key, host=True)
        return log.count("run-start") == 2
    end = time.monotonic() + 60
    while not started():
        assert time.monotonic() < end, "the run does not start"
        time.sleep(0.1)
    story.world.host.kill_and_restart()
    out, err = running.communicate(timeout=90)
    assert running.returncode == 1, (out, err)
    assert "host-restarted" in out + err
    runs = story.media.glovebox("runs", ROOM, "--as", story.media.key, host=True, json_output=True)
    assert [listed["notebook"] for listed in runs].count("slow") == 1
    rooms.run(story.media, ROOM, "reach", "least=20")


def test_two_runs_at_once_both_count(story):
    commands = [story.media.command("run", ROOM, "reach", "--param", f"least={least}", "--json", "--as",
                                    story.media.key, "--host", story.world.host.url) for least in (20, 30)]
    both = [subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True) for command in commands]
    ended = [(process.communicate(timeout=90), process.returncode) for process in both]
    assert [code for _, code in ended] == [0, 0], ended


def test_an_interrupted_upload_goes_on_where_it_was(story):
    import pyarrow as pa
    import pyarrow.parquet as pq
    import random

    numbers = random.Random(7)
    rows = pa.table({"spend": [numbers.getrandbits(62) for _ in range(8_000_000)]})
    file = story.retail.home / "large.parquet"
    pq.write_table(rows, file, compression="none", use_dictionary=False)
    words = ["table", "add", ROOM, "retail.large", "--from", file, "--as", story.retail.key]
    command = story.retail.command(*words, "--host", story.world.host.url)
    first = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
    time.sleep(0.4)
    first.kill()
    first.wait()
    story.world.host.kill_and_restart()
    story.retail.glovebox(*words, host=True)
    shown = story.media.glovebox("room", "show", ROOM, "--as", story.media.key, host=True, json_output=True)
    assert "retail.large" in json.dumps(shown)


def test_another_host_at_the_same_address_is_not_believed(story):
    """The party remembers the host's key: a new home at the old address is another host."""
    host = story.world.host
    host.server.kill()
    kept, host.home = host.home, story.world.directory / "impostor"
    host.home.mkdir()
    host.start()
    try:
        done = story.media.glovebox("room", "list", "--as", story.media.key, host=True, check=False)
        assert done.returncode == 1, done
    finally:
        host.server.kill()
        host.home = kept
        host.start()
    story.media.glovebox("room", "list", "--as", story.media.key, host=True)
