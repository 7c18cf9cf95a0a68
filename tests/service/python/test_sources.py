"""Tables stay where they live: in S3, in Delta tables, at a partner's Delta Sharing server, in
PostgreSQL. Real servers, a host that alone has the credentials, results computed apart, and whatever
can go wrong on the way."""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor

import deltalake
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import data
import lakes
import rooms
import servers
from world import Host, World, wait_for

SEGMENT = '''/* glovebox notebook
name = "{name}"
version = "1.0.0"
description = "Customers and what they spend, by segment"
[inputs."{table}"]
columns = {{ hem = "utf8", segment = "utf8", spend = "int64" }}
[outputs.segments]
columns = ["segment utf8", "people int64 not null", "spend int64"]
*/
CREATE TABLE output.segments AS
SELECT segment, count(*) AS people, sum(spend) AS spend FROM {table} {where} GROUP BY segment ORDER BY 1;
'''


def segments(rows):
    groups = {}
    for row in rows:
        people, spend = groups.get(row["segment"], (0, 0))
        groups[row["segment"]] = (people + 1, spend + row["spend"])
    return [{"segment": segment, "people": people, "spend": spend}
            for segment, (people, spend) in sorted(groups.items())]


class Story:
    """One room in which the retailer's table is somewhere else each time."""

    ROOM = "elsewhere"

    def __init__(self, directory):
        self.world = World(directory, serve=["--allow-source", servers.LOOPBACK, "--allow-source", "10.77.0.0/24"],
                           tls=True)
        self.retail = self.world.party("retail", remote=True)
        self.media = self.world.party("media")
        rooms.make_room(self.world, self.ROOM, self.retail, [self.media])
        self.closing = []

    @property
    def storage(self):
        if not hasattr(self, "_storage"):
            self._storage = servers.ObjectStorage(self.world.directory)
            self.closing.append(self._storage)
            self._storage.bucket("lake")
        return self._storage

    @property
    def database(self):
        if not hasattr(self, "_database"):
            self._database = servers.Database()
            self.closing.append(self._database)
        return self._database

    def add(self, table, place, credentials=None, *words, check=True):
        if credentials is not None:
            file = self.retail.write("credentials.toml", credentials)
            file.chmod(0o600)
            words = ["--credentials", file, *words]
        return self.retail.glovebox("table", "add", self.ROOM, f"retail.{table}", "--from", place, *words,
                                    "--as", self.retail.key, host=True, check=check, json_output=check)

    def rotate(self, table, credentials):
        file = self.retail.write("credentials.toml", credentials)
        file.chmod(0o600)
        self.retail.glovebox("table", "credentials", self.ROOM, f"retail.{table}", "--credentials", file,
                             "--as", self.retail.key, host=True)

    def offer(self, table, where=""):
        """A notebook over the table, approved."""
        name = f"by-{table}"
        text = SEGMENT.format(name=name, table=f"retail.{table}", where=where)
        rooms.offer_notebook(self.ROOM, name, text, self.media, [self.retail])
        return name

    def run(self, notebook, check=True):
        words = ["run", self.ROOM, notebook, "--as", self.media.key]
        return self.media.glovebox(*words, host=True, check=check, json_output=check)

    def fails(self, notebook):
        """The public reason why a run did not do."""
        done = self.media.glovebox("run", self.ROOM, notebook, "--as", self.media.key, "--json", host=True, check=False)
        assert done.returncode == 1, done.stdout + done.stderr
        return done.stdout + done.stderr

    def rows(self, notebook):
        file = self.media.home / "out.parquet"
        file.unlink(missing_ok=True)
        self.media.glovebox("output", "export", self.ROOM, "latest", "segments", "-o", file,
                            "--as", self.media.key, host=True)
        return pq.read_table(file).to_pylist()

    def adds_up(self, table, rows, where=""):
        notebook = self.offer(table, where)
        self.run(notebook)
        assert self.rows(notebook) == segments(rows)
        return notebook

    def close(self):
        for server in self.closing:
            server.close()
        self.world.close()


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    story = Story(tmp_path_factory.mktemp("sources"))
    yield story
    story.close()


def parquet(story, rows, name="rows.parquet"):
    return data.write_parquet(story.retail.home / name, rows)


# S3

def test_a_folder_in_s3_is_read_where_it_is(story):
    rows = data.customers()
    for part in range(3):
        story.storage.put("lake", f"customers/part-{part}.parquet", parquet(story, rows[part::3]))
    added = story.add("s3", "s3://lake/customers/", story.storage.credentials())
    assert added["files"] == 3
    story.adds_up("s3", rows)
    # A version is pinned, and the log says so.
    shown = story.media.glovebox("log", story.ROOM, "--as", story.media.key, host=True, json_output=True)
    assert '"pin": "version"' in json.dumps(shown)
    assert "s3://" not in json.dumps(shown), "nobody learns where a table is"


def test_only_what_is_needed_is_fetched(story):
    """A notebook of two columns and few rows fetches a part of a file that has much more."""
    table = pa.table({"hem": [f"{number:010}" * 20 for number in range(100_000)],
                      "segment": ["abc"[number // 40_000] for number in range(100_000)],
                      "spend": list(range(100_000))})
    file = story.retail.home / "wide.parquet"
    pq.write_table(table, file, row_group_size=10_000, compression="none", use_dictionary=["segment"])
    story.storage.put("lake", "wide/wide.parquet", file)
    story.add("wide", "s3://lake/wide/wide.parquet", story.storage.credentials())
    story.storage.network.asked.clear()
    rows = [{"segment": "abc"[number // 40_000], "spend": number} for number in range(100_000) if number >= 95_000]
    story.adds_up("wide", rows, "WHERE spend >= 95000")
    fetched = 0
    for method, path, span in story.storage.network.asked:
        if method == "GET" and "wide.parquet" in path:
            assert span, "a whole file was fetched"
            first, last = span.removeprefix("bytes=").split("-")
            fetched += int(last) - int(first) + 1 if first and last else 0
    assert 0 < fetched < file.stat().st_size / 10


def test_partitions_of_a_folder_can_be_left_out(story):
    rows = data.customers()
    for segment in "abc":
        part = [{name: value for name, value in row.items() if name != "segment"}
                for row in rows if row["segment"] == segment]
        story.storage.put("lake", f"by-segment/segment={segment}/part.parquet", parquet(story, part))
    story.add("some", "s3://lake/by-segment/", story.storage.credentials(), "--partition", "segment=a,c")
    story.adds_up("some", [row for row in rows if row["segment"] in "ac"])


def test_csv_is_streamed(story):
    rows = data.customers()
    file = story.retail.write("rows.csv", "hem,segment,spend\n" + "".join(
        f'"{row["hem"]}",{row["segment"]},{row["spend"]}\n' for row in rows))
    story.storage.put("lake", "csv/rows.csv", file)
    added = story.add("csv", "s3://lake/csv/rows.csv", story.storage.credentials())
    notebook = SEGMENT.format(name="by-csv", table="retail.csv", where="").replace('hem = "utf8"', next(
        f'hem = "{column["type"]}"' for column in added["columns"] if column["name"] == "hem"))
    rooms.offer_notebook(story.ROOM, "by-csv", notebook, story.media, [story.retail])
    story.run("by-csv")
    assert story.rows("by-csv") == segments(rows)


@pytest.fixture
def customers(story):
    """The table of the first test, with a network that is mended afterwards."""
    yield "by-s3"
    story.storage.network.mend()


def test_a_bucket_that_throttles_for_a_while_is_asked_again(story, customers):
    story.storage.network.spoil("throttle", times=3)
    story.run(customers)
    assert story.rows(customers) == segments(data.customers())


def test_a_bucket_that_throttles_on_and_on_ends_the_run(story, customers):
    story.storage.network.spoil("throttle")
    assert "source-unavailable" in story.fails(customers)


def test_a_cut_answer_is_asked_for_again(story, customers):
    story.storage.network.spoil("cut", times=2, holding="part-")
    story.run(customers)
    assert story.rows(customers) == segments(data.customers())


def test_answers_that_are_always_cut_end_the_run(story, customers):
    story.storage.network.spoil("cut", holding="part-")
    assert "source-unavailable" in story.fails(customers)


def test_a_replaced_object_is_the_next_version(story, customers):
    rows = data.customers()
    rows[0] = {**rows[0], "spend": 1_000_000}
    story.storage.put("lake", "customers/part-0.parquet", parquet(story, rows[0::3]))
    story.run(customers)
    assert story.rows(customers) == segments(rows)
    story.storage.put("lake", "customers/part-0.parquet", parquet(story, data.customers()[0::3]))


def test_a_table_that_changed_its_columns_is_refused(story, customers):
    rows = [{"hem": row["hem"], "segment": row["segment"]} for row in data.customers()]
    for part in range(3):
        story.storage.put("lake", f"customers/part-{part}.parquet", parquet(story, rows[part::3]))
    assert "schema-mismatch" in story.fails(customers)
    for part in range(3):
        story.storage.put("lake", f"customers/part-{part}.parquet", parquet(story, data.customers()[part::3]))


def test_wrong_credentials_are_refused_and_can_be_rotated(story, customers):
    wrong = story.storage.credentials(secret="another-secret-that-is-wrong", key="AKIANOBODY")
    done = story.add("wrong", "s3://lake/customers/", wrong, check=False)
    assert done.returncode == 1 and "source-denied" in done.stderr
    assert "another-secret" not in done.stderr + done.stdout
    # What does not open the table takes the place of nothing.
    with pytest.raises(AssertionError, match="source-denied"):
        story.rotate("s3", wrong)
    story.run(customers)
    # Credentials that have expired meanwhile.
    story.storage.network.spoil("refuse")
    assert "source-denied" in story.fails(customers)
    story.storage.network.mend()
    story.rotate("s3", story.storage.credentials())
    story.run(customers)


def test_an_object_that_is_not_there_is_named_to_its_owner_only(story):
    done = story.add("nothing", "s3://lake/nothing/", story.storage.credentials(), check=False)
    assert done.returncode == 1 and "input-unreadable" in done.stderr


# Delta

def test_a_delta_table_in_s3_is_read_at_its_newest_version(story):
    rows = data.customers()
    table = pa.Table.from_pylist(rows)
    options = story.storage.options()
    deltalake.write_deltalake("s3://lake/delta", table, partition_by=["segment"], storage_options=options)
    story.add("delta", "s3://lake/delta", story.storage.credentials())
    notebook = story.adds_up("delta", rows)
    deltalake.DeltaTable("s3://lake/delta", storage_options=options).delete("spend < 10")
    story.run(notebook)
    assert story.rows(notebook) == segments([row for row in rows if row["spend"] >= 10])


def upload(story, directory, prefix):
    for file in directory.rglob("*"):
        if file.is_file():
            story.storage.put("lake", f"{prefix}/{file.relative_to(directory)}", file)


def test_deleted_rows_of_a_delta_table_stay_deleted(story):
    rows = data.customers()
    deleted = {0, 1, 2, 499, 500, 1_999}
    upload(story, lakes.write(story.retail.home / "vectors", rows, deleted=deleted, parts=2), "vectors")
    story.add("vectors", "s3://lake/vectors", story.storage.credentials())
    story.adds_up("vectors", [row for place, row in enumerate(rows) if place not in deleted])


def test_mapped_columns_of_a_delta_table_have_their_names(story):
    rows = data.customers()
    directory = lakes.write(story.retail.home / "mapped", rows, deleted={7}, mapped=True)
    upload(story, directory, "mapped")
    story.add("mapped", "s3://lake/mapped", story.storage.credentials())
    story.adds_up("mapped", [row for place, row in enumerate(rows) if place != 7])


def test_a_delta_table_that_needs_more_than_we_have_is_refused(story):
    directory = lakes.write(story.retail.home / "newer", data.customers()[:10], features=["fromTheFuture"])
    upload(story, directory, "newer")
    done = story.add("newer", "s3://lake/newer", story.storage.credentials(), check=False)
    assert done.returncode == 1 and "source-unsupported" in done.stderr


def test_a_delta_table_beside_the_host_is_read(story, tmp_path):
    """On the host's own machine, without a network."""
    rows = data.customers()
    directory = lakes.write(tmp_path / "local", rows, deleted={5}, mapped=True)
    home = ["--home", tmp_path / "home"]

    def glovebox(*words):
        done = subprocess.run([str(word) for word in (*story.media.prefix(), servers_glovebox(), *home, *words)],
                              cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    glovebox("key", "new", "retail.key")
    template = glovebox("room", "template")
    host_key = next((line for line in template.splitlines() if line.startswith("host_key")), "")
    public = next(word for word in glovebox("key", "show", "retail.key").split() if word.startswith("ed25519:"))
    (tmp_path / "room.toml").write_text(
        f'name = "alone"\nregion = "test"\n{host_key}\n[[collaborators]]\nalias = "retail"\n'
        f'organisation = "retail"\npublic_key = "{public}"\n')
    glovebox("room", "create", "room.toml", "--as", "retail.key")
    glovebox("table", "add", "alone", "retail.local", "--from", directory, "--as", "retail.key")
    (tmp_path / "local.sql").write_text(SEGMENT.format(name="local", table="retail.local", where=""))
    glovebox("build", "local.sql", "-o", "local.wasm")
    glovebox("notebook", "add", "alone", "local.wasm", "--runner", "retail", "--as", "retail.key")
    glovebox("run", "alone", "local", "--as", "retail.key")
    glovebox("output", "export", "alone", "latest", "segments", "-o", "out.parquet", "--as", "retail.key")
    read = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert read == segments([row for place, row in enumerate(rows) if place != 5])


def servers_glovebox():
    from world import GLOVEBOX
    return GLOVEBOX


# Delta Sharing: a partner at another host shares into this room

@pytest.fixture(scope="module")
def partner(story):
    """Another Glovebox, whose room makes a table that the retailer reads by its profile."""
    here = story.world.host
    there = Host(story.world, name="partner-host")
    story.world.host = there
    room = "partners"
    rooms.make_room(story.world, room, story.retail, [story.media])
    file = parquet(story, data.customers())
    story.retail.glovebox("table", "add", room, "retail.customers", "--from", file, "--as", story.retail.key, host=True)
    profile = story.media.home / "partner.share"
    keep = SEGMENT.format(name="keep", table="retail.customers", where="").replace(
        '"segment utf8", "people int64 not null", "spend int64"', '"hem utf8", "segment utf8", "spend int64"')
    keep = keep.replace("segment, count(*) AS people, sum(spend) AS spend", "hem, segment, spend").replace(
        "GROUP BY segment ORDER BY 1", "ORDER BY 1, 2, 3")
    rooms.offer_notebook(room, "keep", keep, story.media, [story.retail])
    rooms.run(story.media, room, "keep")
    for words in (["recipient", room, "retailer", "--expires", "30d", "-o", profile],
                  ["grant", room, "retailer", "out", "--output", "keep"]):
        story.media.glovebox("share", *words, "--as", story.media.key, host=True)
    text = profile.read_text()
    story.world.host = here
    yield there, text
    there.server.kill()


def test_a_partners_share_is_read_without_a_copy(story, partner):
    there, text = partner
    profile = story.retail.write("partner.share", text)
    profile.chmod(0o600)
    story.add("shared", f"{profile}#out.keep.segments")
    story.adds_up("shared", data.customers())


def test_a_partners_server_that_is_down_ends_the_run(story, partner):
    there, _ = partner
    there.server.kill()
    assert "source-unavailable" in story.fails("by-shared")
    there.start()
    story.run("by-shared")


def test_a_share_that_was_revoked_is_denied(story, partner):
    there, _ = partner
    here, story.world.host = story.world.host, there
    story.media.glovebox("share", "revoke", "partners", "retailer", "--as", story.media.key, host=True)
    story.world.host = here
    assert "source-denied" in story.fails("by-shared")


# PostgreSQL

@pytest.fixture(scope="module")
def orders(story):
    rows = data.customers()
    lines = "".join(f"{row['hem']}\t{row['segment']}\t{row['spend']}\tsecret\n" for row in rows)
    story.database.sql("CREATE TABLE customers (hem text, segment text, spend bigint, private text);\n"
                       f"COPY customers FROM STDIN;\n{lines}\\.\n")
    story.add("orders", story.database.place("customers"), story.database.credentials(),
              "--columns", "hem,segment,spend")
    return rows


def test_a_postgresql_table_is_asked_for_what_is_needed(story, orders):
    notebook = story.adds_up("orders", [row for row in orders if row["spend"] > 30 and row["segment"] != "b"],
                             "WHERE spend > 30 AND segment <> 'b'")
    asked = [line for line in story.database.statements().splitlines() if " 30" in line and "SELECT" in line]
    assert asked, "the filter reached the database"
    assert all("private" not in line and "hem" not in line for line in asked), asked
    assert notebook == "by-orders"


def test_a_wrong_password_is_denied_and_shows_nowhere(story, orders):
    done = story.add("denied", story.database.place("customers"),
                     story.database.credentials(password="a-wrong-password"), check=False)
    assert done.returncode == 1 and "source-denied" in done.stderr
    assert "a-wrong-password" not in done.stdout + done.stderr
    story.database.sql("CREATE ROLE reader LOGIN PASSWORD 'the-first-password'; GRANT SELECT ON customers TO reader")
    story.rotate("orders", story.database.credentials("the-first-password", "reader"))
    story.run("by-orders")
    story.database.sql("ALTER ROLE reader PASSWORD 'the-second-password'")
    assert "source-denied" in story.fails("by-orders")
    story.rotate("orders", story.database.credentials("the-second-password", "reader"))
    story.run("by-orders")
    story.database.sql("REVOKE SELECT ON customers FROM reader")
    assert "source-denied" in story.fails("by-orders")
    story.rotate("orders", story.database.credentials())


def test_a_column_of_another_type_is_a_mismatch(story, orders):
    story.database.sql("ALTER TABLE customers RENAME COLUMN spend TO paid")
    assert "schema-mismatch" in story.fails("by-orders")
    story.database.sql("ALTER TABLE customers RENAME COLUMN paid TO spend")
    story.run("by-orders")


def test_a_database_that_goes_down_in_a_scan_ends_the_run(story, orders):
    story.database.sql("CREATE VIEW slow AS SELECT hem, segment, spend, pg_sleep(0.01)::text AS waited FROM customers")
    story.add("slow", story.database.place("slow"), story.database.credentials(), "--columns", "hem,segment,spend,waited")
    text = SEGMENT.format(name="by-slow", table="retail.slow", where="WHERE waited = ''").replace(
        'spend = "int64" }', 'spend = "int64", waited = "utf8" }')
    rooms.offer_notebook(story.ROOM, "by-slow", text, story.media, [story.retail])
    busy = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%waited%' AND pid <> pg_backend_pid()"
    with ThreadPoolExecutor() as pool:
        running = pool.submit(story.fails, "by-slow")
        wait_for(lambda: story.database.sql(busy) != "0" or running.done(), "the scan")
        assert not running.done(), running.result()
        story.database.stop("immediate")
        assert "source-unavailable" in running.result()
    assert "source-unavailable" in story.fails("by-orders")
    story.database.start()
    story.run("by-orders")


# What holds for all of them

def test_a_party_cannot_send_the_host_to_its_neighbours(tmp_path_factory, story):
    """A host that was not told to allow it reaches no address of its own network."""
    strict = Host(story.world, name="strict-host", serve=[], tls=True)
    here, story.world.host = story.world.host, strict
    try:
        rooms.make_room(story.world, "strict", story.retail, [story.media])
        file = story.retail.write("credentials.toml", story.storage.credentials())
        file.chmod(0o600)
        for place, secret in (("s3://lake/customers/", story.storage.credentials()),
                              (story.database.place("customers"), story.database.credentials()),
                              ("file:///etc", "a = \"b\"\n")):
            file.write_text(secret)
            done = story.retail.glovebox("table", "add", "strict", "retail.inside", "--from", place, "--credentials",
                                         file, "--as", story.retail.key, host=True, check=False)
            assert done.returncode == 1 and "source-refused" in done.stderr, f"{place}: {done.stderr}"
    finally:
        story.world.host = here
        strict.server.kill()


def test_no_credential_is_anywhere_on_the_host(story):
    """Not in its log, not in its home: sealed, it looks like nothing."""
    secrets = [servers.SECRET_KEY, servers.Database.PASSWORD, "a-wrong-password", "another-secret",
               "the-first-password", "the-second-password"]
    profile = story.retail.home / "partner.share"
    if profile.exists():
        secrets.append(json.loads(profile.read_text())["bearerToken"])
    files = [story.world.directory / "host.log", *story.world.host.home.rglob("*")]
    looked = 0
    for file in files:
        if file.is_file():
            content = file.read_bytes()
            looked += 1
            for secret in secrets:
                assert secret.encode() not in content, f"{file} holds a secret"
    assert looked > 10


def test_after_a_power_cut_the_host_still_has_its_sources(story):
    story.world.host.kill_and_restart()
    story.run("by-s3")
    assert story.rows("by-s3") == segments(data.customers())
