"""The pages of a gateway, as a browser gets them: a room, a notebook's form, a run, an output."""

import html
import io
import re
import time
import urllib.error
import urllib.parse
import urllib.request

import pyarrow.parquet
import pytest

import data
import people
import rooms

ROOM = "looked-at"

SCORE = """/* glovebox notebook
name = "score"
version = "1.0.0"
description = "How much each segment spends."
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


def expected():
    sums = {}
    for row in data.customers():
        sums[row["segment"]] = sums.get(row["segment"], 0) + row["spend"]
    return [{"segment": segment, "spend": spend} for segment, spend in sorted(sums.items())]


class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


class Browser:
    """Keeps one cookie and follows no redirect by itself."""

    def __init__(self, url):
        self.url, self.cookie = url, None
        self.opener = urllib.request.build_opener(Stay, urllib.request.ProxyHandler({}))

    def ask(self, path, **form):
        body = urllib.parse.urlencode(form).encode() if form else None
        request = urllib.request.Request(self.url + path, body)
        if self.cookie:
            request.add_header("Cookie", self.cookie)
        try:
            answer = self.opener.open(request, timeout=60)
        except urllib.error.HTTPError as error:
            answer = error
        content = answer.read()
        if "Set-Cookie" in answer.headers:
            self.cookie = answer.headers["Set-Cookie"].split(";")[0]
        return answer.status, answer.headers, content

    def page(self, path):
        status, headers, content = self.ask(path)
        assert status == 200, (path, status, headers.get("Location"), content)
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        return content.decode()


def hidden(page, name):
    return html.unescape(re.search(f'name="{name}" value="([^"]*)"', page)[1])


@pytest.fixture(scope="module")
def story(world):
    class Story:
        consumer = world.party("retail")
        provider = world.party("vendor", remote=True)
    rooms.make_room(world, ROOM, Story.provider, [Story.consumer])
    file = data.write_parquet(Story.consumer.home / "customers.parquet", data.customers())
    Story.consumer.glovebox("table", "add", ROOM, "retail.customers", "--from", file,
                            "--as", Story.consumer.key, host=True)
    source = Story.provider.write("score.sql", SCORE)
    component = Story.provider.home / "score.wasm"
    Story.provider.glovebox("build", source, "-o", component)
    Story.provider.glovebox("notebook", "add", ROOM, component, "--runner", "retail",
                            "--as", Story.provider.key, host=True)
    Story.revision = rooms.revision(Story.consumer, ROOM, "score")
    Story.consumer.glovebox("review", ROOM, "score", "--approve", Story.revision,
                            "--as", Story.consumer.key, host=True)
    Story.consumer.write("catalog.toml", "")
    Story.token = people.add_person(Story.consumer, "ann", "EXECUTE")
    Story.looker = people.add_person(Story.consumer, "bea", "BROWSE")
    Story.consumer.start_gateway()
    return Story


def test_a_form_runs_a_notebook(story):
    browser = Browser(story.consumer.gateway_url)
    assert browser.ask("/")[1]["Location"] == "/login"
    assert "<form" in browser.page("/login")
    assert browser.ask("/login", token="gbx_wrong")[0] == 401
    assert browser.ask("/login", token=story.token)[1]["Location"] == "/"
    listed = browser.page("/")
    room = re.search('href="(/rooms/[^"]+)"', listed)[1]
    shown = browser.page(room)
    assert "How much each segment spends" in shown
    assert "sum(spend)" not in shown
    form = browser.page(f"{room}/notebooks/score")
    assert 'name="p.least" type="number" step="1" min="1" value="3"' in form
    assert hidden(form, "etag") == story.revision and "sum(spend)" not in form
    sent = {name: hidden(form, name) for name in ("form_key", "once", "etag")}
    wrong = browser.ask(f"{room}/notebooks/score", **sent, **{"p.least": "0"})
    assert wrong[0] == 200 and b"below the minimum" in wrong[2], wrong
    first = browser.ask(f"{room}/notebooks/score", **sent, **{"p.least": "3"})
    assert first[0] == 303, first
    again = browser.ask(f"{room}/notebooks/score", **sent, **{"p.least": "3"})
    assert again[1]["Location"] == first[1]["Location"], "the same form is one run"
    run = first[1]["Location"]
    for _ in range(120):
        page = browser.page(run)
        if "http-equiv" not in page:
            break
        time.sleep(0.5)
    assert 'badge good">done' in page, page
    output = browser.page(f"{run}/outputs/scores")
    for row in expected():
        assert row["segment"] in output and str(row["spend"]) in output
    status, headers, content = browser.ask(f"{run}/outputs/scores/parquet")
    assert status == 200 and headers["Content-Disposition"] == 'attachment; filename="scores.parquet"'
    assert pyarrow.parquet.read_table(io.BytesIO(content)).to_pylist() == expected()
    assert browser.page(room).count(">done<") == 1
    story.run, story.room = run, room


def test_who_may_only_look_sees_no_form_and_no_rows(story):
    browser = Browser(story.consumer.gateway_url)
    browser.ask("/login", token=story.looker)
    form = browser.page(f"{story.room}/notebooks/score")
    assert "How much each segment spends" in form and "<button>Run" not in form
    assert "/parquet" not in browser.page(story.run)
    for path in (f"{story.run}/outputs/scores", f"{story.run}/outputs/scores/parquet"):
        assert browser.ask(path)[0] == 403
    key = hidden(form, "form_key")
    assert browser.ask(f"{story.room}/notebooks/score", form_key=key)[0] == 403
    told = story.consumer.glovebox("gateway", "audit", "--state", story.consumer.home / "gateway", json_output=True)
    assert {"bea"} == {entry["principal"] for entry in told if entry["action"] == "ReadOutput"}
