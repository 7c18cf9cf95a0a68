"""A party's agent: standing orders are carried out, once each, whatever dies; and what happens is told.

The agent of the retailer runs notebooks of the media company by the clock, one after the other, and
when somebody asks. It is killed again and again, so is the host, and so are its webhooks.
"""

import json
import random
import shutil
import subprocess
import time
import urllib.error
import urllib.request

import pytest

import data
import rooms
from webhooks import Receiver
from world import GLOVEBOX, Server, clean_environment, wait_for

ROOM = "reach"

# Runs take their time on a machine that does other things as well.
PATIENCE = 240

SUMMARY = """/* glovebox notebook
name = "summary"
version = "1.0.0"
description = "All campaigns together"
[inputs."retail.reached"]
columns = { reach = "int64", spend = "int64" }
[outputs.total]
columns = ["reach int64", "spend int64"]
*/
CREATE TABLE output.total AS
SELECT sum(reach) AS reach, sum(spend) AS spend FROM retail.reached;
"""


class Agent:
    """The retailer's agent. Its orders and its directory survive it."""

    def __init__(self, party, name):
        self.party, self.directory = party, party.home / name
        self.orders = self.directory.with_suffix(".toml")
        self.log = party.world.directory / f"{name}.log"
        self.server = None

    def write(self, text):
        self.orders.write_text(text)

    def start(self):
        command = self.party.command(
            "--json", "agent", "run", "--orders", self.orders, "--as", self.party.key, "--state", self.directory,
            "--host", self.party.world.host.url, "--listen", "127.0.0.1:0")
        self.server = Server(command, clean_environment(self.party.home), self.log)
        return self

    def kill(self):
        self.server.kill()

    def occurrences(self, order=None):
        status = self.party.glovebox("agent", "status", "--state", self.directory, "--limit", "1000",
                                     json_output=True)
        return [known for known in status["occurrences"] if order in (None, known["order"])]

    def ended(self, order):
        return [known for known in self.occurrences(order) if known["outcome"]]

    def trigger(self, name, token, body=b"", key=None):
        headers = {"authorization": f"Bearer {token}"}
        if key:
            headers["idempotency-key"] = key
        url = f"http://{self.server.started['address']}/triggers/{name}"
        request = urllib.request.Request(url, data=body, headers=headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


@pytest.fixture(scope="module")
def story(world):
    class Story:
        retail = world.party("retail")
        media = world.party("media", remote=True)
        agents = []

        @classmethod
        def agent(cls, name, orders):
            agent = Agent(cls.retail, name)
            agent.write(orders)
            cls.agents.append(agent)
            return agent

        @classmethod
        def runs(cls, notebook):
            runs = cls.retail.glovebox("runs", ROOM, "--as", cls.retail.key, host=True, json_output=True)
            return [run for run in runs if run["notebook"] == notebook]

        @classmethod
        def secret(cls, name):
            file = cls.retail.home / f"{name}.secret"
            cls.retail.glovebox("agent", "secret", "-o", file)
            return file.read_text().strip()

        @classmethod
        def token(cls):
            made = cls.retail.glovebox("agent", "token", json_output=True)
            return made["token"], made["token_sha256"]

    Story.world = world
    retail, media = Story.retail, Story.media
    rooms.make_room(world, ROOM, retail, [media])
    rooms.offer_tables(ROOM, retail, media)
    rooms.offer_notebook(ROOM, "reach", data.REACH, media, [retail], runner=retail)
    retail.glovebox("table", "add", ROOM, "retail.reached", "--from-output", "reach.reach", "--as", retail.key,
                    host=True)
    rooms.offer_notebook(ROOM, "summary", SUMMARY, media, [retail], runner=retail)
    rooms.offer_notebook(ROOM, "slow", data.SLOW, media, [retail], runner=retail)
    yield Story
    for agent in Story.agents:
        if agent.server:
            agent.kill()


def order(name, notebook, **settings):
    lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in settings.items() if key != "parameters")
    parameters = ", ".join(f"{key} = {json.dumps(value)}" for key, value in settings.get("parameters", {}).items())
    return (f'[[orders]]\nname = "{name}"\nroom = "{ROOM}"\nnotebook = "{notebook}"\n{lines}\n'
            f"parameters = {{ {parameters} }}\n")


def alert(name, url, kinds, **settings):
    lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in settings.items())
    return (f'[[alerts]]\nname = "{name}"\nurl = "{url}"\nsecret_file = "{name}.secret"\n'
            f"on = {json.dumps(kinds)}\n{lines}\n")


def requests_in(home):
    """How many runs were asked for, as the home of a host has it."""
    log = subprocess.run([GLOVEBOX, "--home", home, "runs", ROOM, "--json"], capture_output=True, check=True)
    return len(json.loads(log.stdout))


def show(story, run):
    return story.retail.glovebox("output", "show", ROOM, run, "--as", story.retail.key, "--rows", "1000", host=True,
                                 json_output=True)


def test_one_runs_output_is_the_next_ones_input(story):
    """By the clock, one after the other; every time with what the run before it let out."""
    done = story.retail.glovebox("run", ROOM, "summary", "--as", story.retail.key, host=True, check=False)
    assert "(input-unreadable)" in done.stderr, "there is no output yet"
    agent = story.agent("chain", order("hourly", "reach", cron="*/4 * * * * *", parameters={"least": 20})
                        + order("report", "summary", after=["hourly"]))
    checked = story.retail.glovebox("agent", "check", "--orders", agent.orders, json_output=True)
    assert [len(known["next"]) for known in checked["orders"]] == [3, 0]
    agent.start()
    reports = wait_for(lambda: agent.ended("report")[1:], "two reports", PATIENCE)
    agent.kill()
    assert {known["outcome"]["outcome"] for known in reports} == {"succeeded"}
    expected = data.overlap(20)
    total = {"reach": sum(row["reach"] for row in expected), "spend": sum(row["spend"] for row in expected)}
    for known in reports:
        assert show(story, known["run"])["total"] == [total]
    # The receipt of a report names the very file of the run before it.
    runs = {run["run"]: run for run in story.runs("summary") + story.runs("reach")}
    assert all(known["run"] in runs for known in reports)
    bundle = story.media.home / "chain.bundle"
    story.media.glovebox("bundle", ROOM, "-o", bundle, "--as", story.media.key, host=True)
    assert "verified" in story.media.glovebox("verify", bundle)


def test_the_template_is_a_beginning(story):
    file = story.retail.write("template.toml", story.retail.glovebox("agent", "template"))
    checked = story.retail.glovebox("agent", "check", "--orders", file, json_output=True)
    assert [known["name"] for known in checked["orders"]] == ["nightly", "report"]
    file.write_text(file.read_text().replace("0 3 * * *", "0 30 * * *"))
    done = story.retail.glovebox("agent", "check", "--orders", file, check=False)
    assert done.returncode == 1 and "order `nightly`" in done.stderr, done


def test_who_may_not_read_an_output_makes_no_table_of_it(story):
    done = story.media.glovebox("table", "add", ROOM, "media.reached", "--from-output", "reach.reach", "--as",
                                story.media.key, host=True, check=False)
    assert done.returncode == 1 and "(not-permitted)" in done.stderr, done
    done = story.retail.glovebox("table", "add", ROOM, "retail.other", "--from-output", "reach.other", "--as",
                                 story.retail.key, host=True, check=False)
    assert done.returncode == 1 and "(not-found)" in done.stderr, done


def test_a_file_that_the_host_changed_is_not_read(story):
    run = rooms.run(story.retail, ROOM, "reach", "least=20")["run"]
    [file] = [path for path in story.world.host.home.rglob("reach.parquet") if run in str(path)]
    whole = file.read_bytes()
    mode = file.stat().st_mode
    file.chmod(0o600)
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    done = story.retail.glovebox("run", ROOM, "summary", "--as", story.retail.key, host=True, check=False)
    file.write_bytes(whole)
    file.chmod(mode)
    assert done.returncode == 1 and "(input-changed)" in done.stderr, done.stderr
    rooms.run(story.retail, ROOM, "summary")


def test_an_agent_that_is_killed_again_and_again_does_everything_once(story):
    before = {run["run"] for run in story.runs("reach")}
    token, digest = story.token()
    orders = order("often", "reach", cron="*/2 * * * * *", overlap="queue", catch_up="last",
                   parameters={"least": 20}) + order("asked", "reach", overlap="queue")
    agent = story.agent("killed", orders + f'[[triggers]]\nname = "now"\norder = "asked"\n'
                                           f'token_sha256 = "{digest}"\naccepts = ["least"]\n')
    dice = random.Random(5)
    answered = []
    for attempt in range(12):
        agent.start()
        if attempt % 3 == 0:
            # What was answered is done, however soon the agent dies.
            status, answer = agent.trigger("now", token, b'{"parameters": {"least": 30}}', key=f"try {attempt}")
            assert status == 202, answer
            answered.append(answer["occurrence"])
        time.sleep(dice.uniform(0.0, 2.5))
        agent.kill()
    agent.write(agent.orders.read_text().replace("*/2 * * * * *", "0 0 1 1 *"))
    agent.start()
    status, answer = agent.trigger("now", token, b'{"parameters": {"least": 30}}', key="try 0")
    assert (status, answer["occurrence"]) == (200, answered[0])
    wait_for(lambda: all(known["outcome"] for known in agent.occurrences()), "everything ends", PATIENCE)
    agent.kill()
    known = agent.occurrences()
    assert {occurrence["outcome"]["outcome"] for occurrence in known} == {"succeeded"}, known
    assert set(answered) == {occurrence["id"] for occurrence in known if occurrence["order"] == "asked"}
    assert len({occurrence["due"] for occurrence in known if occurrence["order"] == "often"}) == \
        sum(occurrence["order"] == "often" for occurrence in known) > 2
    # Each of them is one run, and there is no other.
    runs = [run["run"] for run in story.runs("reach") if run["run"] not in before]
    assert sorted(runs) == sorted(occurrence["run"] for occurrence in known)


def test_only_who_has_the_token_starts_anything(story):
    token, digest = story.token()
    agent = story.agent("doors", order("asked", "reach") +
                        f'[[triggers]]\nname = "now"\norder = "asked"\ntoken_sha256 = "{digest}"\n')
    agent.start()
    other, _ = story.token()
    for name, given, body, expected in (("now", other, b"", 401), ("other", token, b"", 401),
                                        ("now", token, b'{"parameters": {"least": 5}}', 400),
                                        ("now", token, b"[]", 400)):
        assert agent.trigger(name, given, body)[0] == expected, (name, body)
    assert agent.trigger("now", token)[0] == 202
    assert agent.trigger("now", token)[0] == 409, "it goes on, and is not queued"
    wait_for(lambda: any(known["outcome"] == {"outcome": "succeeded"} for known in agent.ended("asked")), "a run", PATIENCE)
    agent.kill()
    said = agent.log.read_text()
    assert token not in said and other not in said and digest not in said


def test_two_agents_do_not_share_a_directory(story):
    agent = story.agent("alone", order("rare", "reach", cron="0 0 1 1 *")).start()
    words = ["agent", "run", "--orders", agent.orders, "--as", story.retail.key, "--state", agent.directory]
    done = story.retail.glovebox(*words, host=True, check=False)
    assert done.returncode == 1 and "another agent" in done.stderr, done
    assert agent.server.stop() == 0
    agent.start()
    agent.kill()


def test_alerts_are_signed_come_once_and_wait_for_nobody(story):
    retail, media = story.retail, story.media
    names = ("good", "flaky", "hangs")
    secrets = {name: story.secret(name) for name in names}
    good, flaky = Receiver(secrets["good"]), Receiver(secrets["flaky"], answers=[500, 503])
    hangs = Receiver(secrets["hangs"], hangs=True)
    token, digest = story.token()
    kinds = ["run.failed", "statement.refused", "approval.automatic", "order.failed"]
    orders = (order("slow", "slow", retries=1, pause="1s")
              + f'[[triggers]]\nname = "now"\norder = "slow"\ntoken_sha256 = "{digest}"\n'
              + alert("good", good.url, [*kinds, "room.silent"], silence="6s", rooms=[ROOM])
              + alert("flaky", flaky.url, kinds) + alert("hangs", hangs.url, kinds))
    agent = story.agent("alerts", orders).start()
    done = retail.glovebox("agent", "test", "--orders", agent.orders, check=False, json_output=True)
    assert done.returncode == 1
    assert json.loads(done.stdout) == {"good": True, "flaky": False, "hangs": False}
    wait_for(lambda: good.events("room.silent"), "silence", PATIENCE)

    # The host refuses: the media company is no runner.
    media.glovebox("run", ROOM, "reach", "--as", media.key, host=True, check=False)
    [refusal] = wait_for(lambda: good.events("statement.refused"), "the refusal", PATIENCE)
    assert (refusal["reason"], refusal["party"], refusal["room"]) == ("not-a-runner", "media", ROOM)
    # The endpoint that failed at first gets it as well, though the agent is killed in between.
    agent.kill()
    agent.start()
    wait_for(lambda: flaky.events("statement.refused"), "the same, later", PATIENCE)

    # A rule approves what nobody has looked at.
    retail.glovebox("rule", "add", ROOM, "trusted", "--author", "media", "--runner", "retail", "--as", retail.key,
                    host=True)
    rooms.offer_notebook(ROOM, "reach", data.REACH.replace("1.0.0", "1.1.0"), media, [], runner=retail)
    approval = wait_for(lambda: good.events("approval.automatic"), "the approval by rule", PATIENCE)[-1]
    assert (approval["notebook"], approval["rule"]) == ("reach", "trusted")

    # The host dies in the middle of a run: it is asked for again, then it is cancelled and given up.
    assert agent.trigger("now", token)[0] == 202

    def started(count):
        runs = story.runs("slow")
        return len(runs) == count and runs[-1]["outcome"] == "running" and runs
    first = wait_for(lambda: started(1), "the slow run", PATIENCE)
    story.world.host.kill_and_restart()
    failed = wait_for(lambda: good.events("run.failed"), "the run that the host left", PATIENCE)[-1]
    assert (failed["reason"], failed["run"]) == ("host-restarted", first[0]["run"])
    second = wait_for(lambda: started(2), "the second attempt", PATIENCE)
    [again] = [run["run"] for run in second if run["run"] != first[0]["run"]]
    retail.glovebox("cancel", ROOM, again, "--as", retail.key, host=True)
    [given_up] = wait_for(lambda: good.events("order.failed"), "the order is given up", PATIENCE)
    assert (given_up["reason"], given_up["order"], given_up["attempts"]) == ("cancelled", "slow", 2)

    # Nothing twice, nothing forged, nothing lost; the endpoint that hangs held up nobody.
    wait_for(lambda: set(body["run"] for body in flaky.events("run.failed")) ==
             set(body["run"] for body in good.events("run.failed")), "both know the same", PATIENCE)
    for receiver in (good, flaky):
        assert receiver.forged == []
        assert len(receiver.ids()) == len(set(receiver.ids()))
    assert hangs.seen and not hangs.taken
    agent.kill()
    said = agent.log.read_text()
    assert "not-to-be-logged" not in said
    assert not any(secret.removeprefix("whsec_") in said for secret in secrets.values())


def test_a_host_that_shows_another_log_is_told_of_and_runs_nothing(story):
    host = story.world.host
    secret = story.secret("forks")
    receiver = Receiver(secret)
    agent = story.agent("forks", order("often", "reach", cron="*/3 * * * * *")
                        + alert("forks", receiver.url, ["log.forked"]))
    host.server.kill()
    before = story.world.directory / "before"
    shutil.copytree(host.home, before, symlinks=True)
    host.start()
    agent.start()
    wait_for(lambda: agent.ended("often"), "a run", PATIENCE)
    host.server.kill()
    kept, host.home = host.home, before
    requests = requests_in(before)
    host.start()
    try:
        [event] = wait_for(lambda: receiver.events("log.forked"), "the fork", PATIENCE)
        assert event["room"] == ROOM
        time.sleep(8)
        assert len(receiver.events("log.forked")) == 1, "told once"
        host.server.kill()
        assert requests_in(before) == requests, "nothing is run in a room that is not the one"
    finally:
        host.server.kill()
        host.home = kept
        host.start()
    # With its own log back, the host is believed again.
    count = len(agent.ended("often"))
    wait_for(lambda: len([known for known in agent.ended("often")
                          if known["outcome"] == {"outcome": "succeeded"}]) > count, "runs again", PATIENCE)
    agent.kill()
