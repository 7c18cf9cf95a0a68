"""One notebook for fifty customers, each with a room of its own on one host.

The owner of the fleet works from the other network. Whatever it does to all rooms is interrupted on
the way: the command is killed, the host is killed, a second command is started beside it. At the end
every room has each version once, and nobody but its customer approved it."""

import fcntl
import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import rooms
from world import wait_for

CUSTOMERS = [f"c{number:02}" for number in range(50)]
# These approve what they read; the others approve the owner's notebooks by a rule.
READERS = CUSTOMERS[:8]
RUNNERS = CUSTOMERS[5:25]
UNLUCKY = "c11"
# Commands of customers at a time.
HANDS = 4

NOTEBOOK = """/* glovebox notebook
name = "total"
version = "{version}"
description = "What was sold"
[inputs."shop.sales"]
columns = {{ amount = "int64", parts = "int64" }}
[outputs.total]
columns = ["sold int64", "share int64", "{name} int64"]
*/
CREATE TABLE output.total AS
SELECT sum(amount) AS sold, sum(amount / parts) AS share, count(*) AS {name} FROM shop.sales;
"""


def sales(customer):
    number = CUSTOMERS.index(customer)
    return [{"amount": number * 10 + row, "parts": 0 if customer == UNLUCKY and row == 3 else 1} for row in range(7)]


@pytest.fixture(scope="module")
def story(world):
    return Story(world)


class Story:
    def __init__(self, world):
        self.world = world
        self.vendor = world.party("vendor", remote=True)
        # Fifty organisations, of which nothing matters here but that each has a key of its own.
        self.crowd = world.party("crowd")
        self.keys = dict(zip(CUSTOMERS, self.all(CUSTOMERS, self.new_key), strict=True))
        self.registry = self.vendor.home / "fleet.toml"
        self.journal = self.vendor.home / "fleet.toml.journal"

    def new_key(self, customer):
        return self.crowd.glovebox("key", "new", f"{customer}.key", json_output=True)["public_key"]

    def all(self, customers, act):
        with ThreadPoolExecutor(HANDS) as hands:
            return list(hands.map(act, customers))

    def customer(self, customer, *words, **options):
        return self.crowd.glovebox(*words, "--as", f"{customer}.key", host=True, **options)

    def fleet(self, *words, code=0):
        """A command of the fleet's owner; gives its JSON."""
        done = self.vendor.glovebox("fleet", *words, "--json", check=False)
        assert done.returncode == code, f"fleet {words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout) if done.stdout else done.stderr

    def publish(self, *words, code=0):
        return self.fleet("publish", *words, "--as", self.vendor.key, code=code)

    def status(self, *words, code=0):
        return self.fleet("status", *words, "--as", self.vendor.key, code=code)

    def start(self, *words):
        command = self.vendor.command("fleet", *words, "--json", "--as", self.vendor.key)
        return subprocess.Popen([str(word) for word in command], cwd=self.vendor.home,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def build(self, version, name="rows"):
        source = self.vendor.write(f"total-{version}.sql", NOTEBOOK.format(version=version, name=name))
        component = self.vendor.home / f"total-{version}.wasm"
        self.vendor.glovebox("build", source, "-o", component)
        return component

    def reached(self):
        """Rooms that the journal has a line for in the last roll-out."""
        steps = [json.loads(line) for line in self.journal.read_text().splitlines(keepends=True) if line.endswith("\n")]
        begun = max(place for place, step in enumerate(steps) if step["step"] == "begin")
        return sum(step["step"] == "room" for step in steps[begun:])

    def versions(self):
        """The versions of the notebook in each room, as its customer sees them."""
        def of(customer):
            shown = self.customer(customer, "room", "show", f"sales-{customer}", json_output=True)
            return [revision["version"] for listed in shown["notebooks"] for revision in listed["revisions"]]
        return self.all(CUSTOMERS, of)


def kill_when(process, condition):
    """Kills a command as soon as it has come so far."""
    wait_for(lambda: process.poll() is not None or condition(), "the command gets so far")
    assert process.poll() is None, process.communicate()
    process.kill()
    process.communicate()


def test_the_registry_is_a_file_that_people_can_write(story):
    story.vendor.glovebox("fleet", "init", host=True)
    for customer in CUSTOMERS[:2]:
        story.fleet("add", customer, "--value", f"key={story.keys[customer]}")
    text = story.registry.read_text().replace("# \"shop.sales\" = \"${customer}.sales\"",
                                              "\"shop.sales\" = \"${customer}.sales\"")
    for customer in CUSTOMERS[2:]:
        text += f'\n[[customers]]\nname = "{customer}"  # by hand\nvalues = {{ key = "{story.keys[customer]}" }}\n'
    story.registry.write_text(text)
    listed = story.fleet("list")
    assert [customer["customer"] for customer in listed] == CUSTOMERS
    assert all(customer["host"] == story.world.host.url and customer["room"] is None for customer in listed)
    assert listed[7]["runners"] == ["c07"]
    assert "two customers c01" in story.fleet("add", "c01", code=1)


def test_every_customer_gets_one_room_although_the_command_is_killed(story):
    template = story.vendor.glovebox("room", "template", host=True)
    host_key = next(line for line in template.splitlines() if line.startswith("host_key"))
    collaborators = [("vendor", story.vendor.public_key), ("${customer}", "${key}")]
    story.vendor.write("room.toml", f'name = "sales-${{customer}}"\nregion = "test"\n{host_key}\n' + "".join(
        f'[[collaborators]]\nalias = "{alias}"\norganisation = "{alias} inc"\npublic_key = "{key}"\n'
        for alias, key in collaborators))
    kill_when(story.start("create", "room.toml", "--parallel", "2"),
              lambda: story.registry.read_text().count("\nroom = ") >= 9)
    made = story.registry.read_text().count("\nroom = ")
    assert 9 <= made < 50
    done = story.fleet("create", "room.toml", "--as", story.vendor.key)
    assert (done["created"], done["failed"]) == (50 - made, 0)
    assert story.fleet("create", "room.toml", "--as", story.vendor.key)["created"] == 0
    # One room each on the host, and the registry knows them; its comments are still there.
    listed = story.vendor.glovebox("room", "list", "--as", story.vendor.key, host=True, json_output=True)
    assert sorted(room["name"] for room in listed) == [f"sales-{customer}" for customer in CUSTOMERS]
    assert {room["room"] for room in listed} == {customer["room"] for customer in story.fleet("list")}
    assert story.registry.read_text().count("# by hand") == 48
    status = story.status()
    assert all(room["not_accepted"] == [room["customer"]] for room in status["rooms"])


def test_customers_come_in(story):
    def come(customer):
        room = f"sales-{customer}"
        story.customer(customer, "room", "accept", room)
        rows = "".join(f"{row['amount']},{row['parts']}\n" for row in sales(customer))
        file = story.crowd.write(f"{customer}.csv", f"amount,parts\n{rows}")
        story.customer(customer, "table", "add", room, f"{customer}.sales", "--from", file)
        if customer not in READERS:
            story.customer(customer, "rule", "add", room, "vendor", "--author", "vendor", "--runner", customer)
    story.all(CUSTOMERS, come)
    status = story.status()
    assert all(room["not_accepted"] == [] and room["notebooks"] == [] for room in status["rooms"])


def test_a_killed_roll_out_goes_on_where_it_was(story):
    component = story.build("1.0.0")
    assert "version 1.0.0" in story.publish(component, "--version", "1.0.1", code=1)
    would = story.publish(component, "--dry-run")
    assert (would["would_publish"], would["published"]) == (50, 0)
    first = story.start("publish", component, "--version", "1.0.0", "--parallel", "2")
    kill_when(first, lambda: story.journal.exists() and "begin" in story.journal.read_text() and story.reached() >= 12)
    assert sum(versions == ["1.0.0"] for versions in story.versions()) < 50, "it was killed on its way"
    done = story.publish(component)
    assert done["failed"] == 0 and done["published"] + done["already_there"] == 50
    assert done["published"] > 0 and done["already_there"] >= 12
    assert story.versions() == [["1.0.0"]] * 50
    again = story.publish(component)
    assert (again["published"], again["already_there"], again["approved"]) == (0, 50, 42)


def test_only_one_command_works_on_a_fleet(story):
    component = story.vendor.home / "total-1.0.0.wasm"
    with story.journal.open() as journal:
        # As a command holds it for as long as it works.
        fcntl.flock(journal, fcntl.LOCK_EX)
        before = story.journal.read_text()
        assert "another command works on this fleet" in story.publish(component, code=1)
        assert "another command works on this fleet" in story.fleet(
            "create", "room.toml", "--as", story.vendor.key, code=1)
        assert story.journal.read_text() == before
    assert story.publish(component)["already_there"] == 50


def test_status_says_who_has_yet_to_approve(story):
    status = story.status()
    assert len(status["rooms"]) == 50 and status["failed"] == 0
    for room in status["rooms"]:
        customer, [notebook] = room["customer"], room["notebooks"]
        expect = ("waiting", [customer]) if customer in READERS else ("approved", [])
        assert (notebook["standing"], notebook["missing"]) == expect
        assert room["last_run"] is None and room["failures"] == 0
        assert room["idle_days"] == 0 and not room["silent"]
    # With no day of patience everybody is silent.
    assert all(room["silent"] for room in story.status("--days", "0")["rooms"])
    shown = story.vendor.glovebox("fleet", "status", "--as", story.vendor.key)
    assert "42 approved, 8 waiting, 0 rejected" in shown
    assert "waits for c03" in shown


def decide(story, customer, decision):
    room = f"sales-{customer}"
    shown = story.customer(customer, "room", "show", room, json_output=True)
    digest = shown["notebooks"][0]["revisions"][-1]["digest"]
    story.customer(customer, "review", room, "total", decision, digest)


def test_customers_approve_and_run(story):
    story.all(READERS[1:], lambda customer: decide(story, customer, "--approve"))
    decide(story, READERS[0], "--reject")

    def run(customer):
        words = ["run", f"sales-{customer}", "total", "--json"]
        return story.customer(customer, *words, check=False).returncode
    codes = dict(zip(RUNNERS, story.all(RUNNERS, run), strict=True))
    assert [customer for customer, code in codes.items() if code != 0] == [UNLUCKY]
    shown = story.customer("c24", "output", "show", "sales-c24", "latest", json_output=True)
    sold = sum(row["amount"] for row in sales("c24"))
    assert shown["total"] == [{"sold": sold, "share": sold, "rows": 7}]

    status = {room["customer"]: room for room in story.status()["rooms"]}
    for customer, room in status.items():
        run = room["last_run"]
        outcome = (run["outcome"], run["reason"], run["runner"]) if run else None
        if customer == UNLUCKY:
            assert outcome == ("failed", "query-failed", customer) and room["failures"] == 1
        elif customer in RUNNERS:
            assert outcome == ("succeeded", None, customer) and room["failures"] == 0
        else:
            assert outcome is None
    assert status["c00"]["notebooks"][0]["standing"] == "rejected"
    assert status["c00"]["notebooks"][0]["missing"] == ["c00"]
    assert sum(room["notebooks"][0]["standing"] == "approved" for room in status.values()) == 49


def test_a_new_version_reaches_all_while_the_host_dies_and_comes_back(story):
    component = story.build("1.1.0", name="lines")
    rollout = story.start("publish", component, "--cutover", "1d", "--parallel", "4")
    wait_for(lambda: rollout.poll() is not None or story.reached() >= 5, "the roll-out")
    assert rollout.poll() is None
    story.world.host.kill_and_restart()
    out, err = rollout.communicate(timeout=120)
    assert rollout.returncode == 0, (out, err)
    done = json.loads(out)
    assert done["published"] + done["already_there"] == 50 and done["failed"] == 0
    assert story.versions() == [["1.0.0", "1.1.0"]] * 50
    # The same words are the same roll-out: another day does not come of saying them again.
    time.sleep(1.1)
    again = story.publish(component, "--cutover", "1d")
    assert (again["already_there"], again["cutover"]) == (50, done["cutover"])
    status = {room["customer"]: room["notebooks"][0] for room in story.status()["rooms"]}
    waiting = status["c03"]
    assert (waiting["version"], waiting["standing"], waiting["running"]) == ("1.1.0", "waiting", "1.0.0")
    assert (status["c30"]["version"], status["c30"]["standing"]) == ("1.1.0", "approved")
    # Whoever says the old version again does not put it after the new one.
    old = story.publish(story.vendor.home / "total-1.0.0.wasm", code=1)
    assert old["failed"] == 50 and {room["reason"] for room in old["rooms"]} == {"superseded"}


def test_a_room_that_fails_stops_no_other_one(story):
    component = story.build("1.2.0")
    registry = story.registry.read_text()
    story.registry.write_text(
        registry.replace(f'name = "{CUSTOMERS[4]}"', f'name = "{CUSTOMERS[4]}"\nhost = "http://127.0.0.1:9"')
        + '\n[[customers]]\nname = "late"\n[[customers]]\nname = "stray"\nrunners = ["nobody"]\nroom = "blake3:'
        + "0" * 64 + '"\n')
    story.customer("c09", "room", "pause", "sales-c09", "--comment", "an audit")
    done = story.publish(component, "--patience", "1s", code=1)
    failed = {room["customer"]: room["reason"] for room in done["rooms"] if "error" in room}
    assert failed == {"c04": "unavailable", "late": None, "stray": "not-found"}
    assert done["published"] == 49
    story.registry.write_text(registry)
    done = story.publish(component)
    assert (done["published"], done["already_there"], done["failed"]) == (1, 49, 0)
    status = {room["customer"]: room for room in story.status()["rooms"]}
    assert status["c09"]["paused"] and not status["c10"]["paused"]


def test_nobody_but_the_owner_of_the_fleet_publishes_for_it(story):
    """A customer with the registry and a component gets nowhere with its own key."""
    stolen = story.crowd.write("fleet.toml", story.registry.read_text())
    component = story.crowd.home / "total.wasm"
    component.write_bytes(story.build("2.0.0").read_bytes())
    done = story.crowd.glovebox("fleet", "publish", component, "--registry", stolen, "--as", "c20.key",
                                "--json", check=False)
    assert done.returncode == 1
    reasons = {room["customer"]: room["reason"] for room in json.loads(done.stdout)["rooms"]}
    assert reasons.pop("c20") == "not-permitted"
    assert set(reasons.values()) == {"not-found"}, "the other rooms are not there for it"
