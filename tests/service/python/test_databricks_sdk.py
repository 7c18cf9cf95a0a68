"""Two organisations work together through the released databricks-sdk, each at its own gateway.

The retailer and the host are in one network, the media company in another. Each step goes on from
the one before.
"""

import base64
import time

import pytest
from databricks.sdk.errors import (BadRequest, DatabricksError, NotFound, PermissionDenied,
                                   ResourceAlreadyExists, ResourceDoesNotExist,
                                   Unauthenticated)
from databricks.sdk.service.cleanrooms import (
    CleanRoom, CleanRoomAsset, CleanRoomAssetAssetType, CleanRoomAssetNotebook,
    CleanRoomAssetStatusEnum, CleanRoomAssetTable, CleanRoomAssetTableLocalDetails,
    CleanRoomAutoApprovalRule, CleanRoomCollaborator, CleanRoomNotebookReviewNotebookReviewState,
    CleanRoomOutputCatalog, CleanRoomRemoteDetail, CleanRoomStatusEnum, NotebookVersionReview,
)
from databricks.sdk.service.jobs import (CleanRoomsNotebookTask, RunLifeCycleState, RunResultState,
                                         SubmitTask)

import data
from people import add_person, workspace

ROOM = "campaigns"
NOTEBOOK = CleanRoomAssetAssetType.NOTEBOOK_FILE
TABLE = CleanRoomAssetAssetType.TABLE
EVERYTHING = ("create", "modify", "execute", "browse", "manage")


class Story:
    """Both parties, and what the steps leave for the steps after them."""

    def __init__(self, world):
        self.world = world
        self.retail = world.party("retail")
        self.media = world.party("media", remote=True)
        for party, name, rows in ((self.retail, "customers", data.customers()),
                                  (self.media, "exposures", data.exposures())):
            data.write_parquet(party.home / f"{name}.parquet", rows)
            party.write("catalog.toml",
                        f'[tables."main.sales.{name}"]\npath = "{party.home / name}.parquet"\n')
            token = add_person(party, f"admin@{party.alias}.example", *EVERYTHING)
            party.token = token
            party.start_gateway()
            party.client = workspace(party, token)

    def run(self, party, notebook, etag=None, **parameters):
        task = CleanRoomsNotebookTask(clean_room_name=ROOM, notebook_name=notebook, etag=etag,
                                      notebook_base_parameters=parameters or None)
        submitted = party.client.jobs.submit(
            run_name=notebook, tasks=[SubmitTask(task_key="only", clean_rooms_notebook_task=task)])
        return submitted.response.run_id

    def end(self, party, run_id, seconds=120):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = party.client.jobs.get_run(run_id)
            if found.state.life_cycle_state in (RunLifeCycleState.TERMINATED,
                                                RunLifeCycleState.INTERNAL_ERROR,
                                                RunLifeCycleState.SKIPPED):
                return found
            time.sleep(0.1)
        raise AssertionError(f"run {run_id} did not end")


@pytest.fixture(scope="module")
def story(world):
    return Story(world)


def asset_status(client, asset_type, name):
    return client.clean_room_assets.get(ROOM, asset_type, name).status


def add_notebook(party, text, name, runners, update=False):
    content = base64.b64encode(text.encode()).decode()
    asset = CleanRoomAsset(
        name=name, asset_type=NOTEBOOK,
        notebook=CleanRoomAssetNotebook(notebook_content=content, runner_collaborator_aliases=runners))
    assets = party.client.clean_room_assets
    if update:
        with pytest.raises(ResourceAlreadyExists):
            assets.create(ROOM, asset)
        assets.update(ROOM, NOTEBOOK, name, asset)
    else:
        assets.create(ROOM, asset)
    end = time.monotonic() + 60
    while asset_status(party.client, NOTEBOOK, name) != CleanRoomAssetStatusEnum.ACTIVE:
        assert time.monotonic() < end, f"{name} is still pending"
        time.sleep(0.1)
    return party.client.clean_room_assets.get(ROOM, NOTEBOOK, name).notebook.etag


def approve(party, name, etag, state=CleanRoomNotebookReviewNotebookReviewState.APPROVED):
    return party.client.clean_room_assets.create_clean_room_asset_review(
        ROOM, NOTEBOOK, name,
        notebook_review=NotebookVersionReview(etag=etag, review_state=state, comment="read it"))


def test_nobody_gets_in_without_a_token(story):
    with pytest.raises((Unauthenticated, PermissionDenied)):
        list(workspace(story.retail, "gbx_not-a-token").clean_rooms.list())


def test_a_room_is_created_and_accepted(story):
    def collaborator(party, creator):
        return CleanRoomCollaborator(
            collaborator_alias=party.alias, organization_name=f"{party.alias} inc",
            global_metastore_id=f"glovebox:test:{party.public_key}",
            invite_recipient_email=None if creator else f"people@{party.alias}.example")

    created = story.retail.client.clean_rooms.create_and_wait(CleanRoom(
        name=ROOM, comment="reach of campaigns",
        remote_detailed_info=CleanRoomRemoteDetail(
            cloud_vendor="glovebox", region="test",
            collaborators=[collaborator(story.retail, True), collaborator(story.media, False)])))
    assert created.status == CleanRoomStatusEnum.ACTIVE
    assert created.local_collaborator_alias == "retail"

    invited = story.media.client.clean_rooms.get(ROOM)
    assert {party.collaborator_alias for party in
            invited.remote_detailed_info.collaborators} == {"retail", "media"}
    story.media.client.clean_rooms.create_and_wait(CleanRoom(name=ROOM))
    for party in (story.retail, story.media):
        assert [room.name for room in party.client.clean_rooms.list()] == [ROOM]
        catalog = party.client.clean_rooms.create_output_catalog(
            ROOM, CleanRoomOutputCatalog(catalog_name=f"{party.alias}_outputs"))
        assert catalog.output_catalog.catalog_name == f"{party.alias}_outputs"


def test_there_is_no_egress(story):
    policy = story.media.client.clean_rooms.get(ROOM).remote_detailed_info.egress_network_policy
    assert policy.internet_access.restriction_mode.value == "RESTRICTED_ACCESS"
    assert not policy.internet_access.allowed_internet_destinations


def test_tables_are_offered(story):
    for party, name in ((story.retail, "customers"), (story.media, "exposures")):
        party.client.clean_room_assets.create(ROOM, CleanRoomAsset(
            name=f"{party.alias}.{name}", asset_type=TABLE, table=CleanRoomAssetTable(),
            table_local_details=CleanRoomAssetTableLocalDetails(local_name=f"main.sales.{name}")))
    seen = {asset.name: asset for asset in story.media.client.clean_room_assets.list(ROOM)}
    assert set(seen) == {"retail.customers", "media.exposures"}
    assert [column.name for column in seen["retail.customers"].table.columns] == ["hem", "segment", "spend"]
    # Where the other party's table is, is the other party's business.
    assert seen["retail.customers"].table_local_details is None
    with pytest.raises(DatabricksError):
        story.media.client.clean_room_assets.create(ROOM, CleanRoomAsset(
            name="retail.other", asset_type=TABLE, table=CleanRoomAssetTable(),
            table_local_details=CleanRoomAssetTableLocalDetails(local_name="main.sales.exposures")))


def test_a_notebook_runs_only_after_its_review(story):
    story.etag = add_notebook(story.media, data.REACH, "reach", ["media"])
    with pytest.raises(DatabricksError) as refused:
        story.end(story.media, story.run(story.media, "reach", story.etag))
    assert "not-approved" in str(refused.value) or "approved" in str(refused.value)
    seen = story.retail.client.clean_room_assets.get(ROOM, NOTEBOOK, "reach").notebook
    assert seen.etag == story.etag
    with pytest.raises(DatabricksError):
        approve(story.retail, "reach", "blake3:" + "0" * 64)
    reviewed = approve(story.retail, "reach", story.etag)
    assert reviewed.notebook_review_state == CleanRoomNotebookReviewNotebookReviewState.APPROVED


def test_the_run_gives_what_the_data_says(story):
    story.run_id = story.run(story.media, "reach", story.etag, least="20")
    ended = story.end(story.media, story.run_id)
    assert ended.state.result_state == RunResultState.SUCCESS, ended.state
    rows = read_output(story.media, story.run_id, "reach")
    assert rows == data.overlap(20)
    assert rows, "the story has a result"


def read_output(party, run_id, table):
    """The output table of a run, by the listing and the download of the gateway."""
    import io

    import pyarrow.parquet as pq
    import requests

    output = party.client.jobs.get_run_output(run_id)
    schema = output.clean_rooms_notebook_output.output_schema_info
    name = f"{schema.catalog_name}.{schema.schema_name}.{table}"
    listed = party.client.api_client.do(
        "GET", "/api/2.1/unity-catalog/tables",
        query={"catalog_name": schema.catalog_name, "schema_name": schema.schema_name})
    assert name in [found["full_name"] for found in listed["tables"]]
    answer = requests.get(f"{party.gateway_url}/api/glovebox/outputs/{name}",
                          headers={"Authorization": f"Bearer {party.token}"}, timeout=60)
    answer.raise_for_status()
    return pq.read_table(io.BytesIO(answer.content)).to_pylist()


def test_runs_are_seen_by_both(story):
    for party in (story.retail, story.media):
        runs = list(party.client.clean_room_task_runs.list(ROOM))
        assert any(run.notebook_name == "reach" for run in runs)
        newer = list(party.client.clean_room_task_runs.list_clean_room_task_runs_handler(ROOM))
        assert [run.name for run in newer] == [run.notebook_name for run in runs]
    with pytest.raises(DatabricksError):
        # The retailer is no runner.
        story.end(story.retail, story.run(story.retail, "reach"))


def test_a_rule_approves_what_comes_after_it(story):
    rules = story.retail.client.clean_room_auto_approval_rules
    rule = rules.create(ROOM, CleanRoomAutoApprovalRule(
        author_collaborator_alias="media", runner_collaborator_alias="media"))
    assert [found.rule_id for found in rules.list(ROOM)] == [rule.rule_id]
    assert rules.get(ROOM, rule.rule_id).author_collaborator_alias == "media"
    text = data.REACH.replace('version = "1.0.0"', 'version = "1.1.0"').replace("minimum = 5", "minimum = 6")
    etag = add_notebook(story.media, text, "reach", ["media"], update=True)
    assert etag != story.etag
    seen = story.media.client.clean_room_assets.get(ROOM, NOTEBOOK, "reach").notebook
    assert seen.review_state == CleanRoomNotebookReviewNotebookReviewState.APPROVED
    assert any(review.review_sub_reason and review.review_sub_reason.value == "AUTO_APPROVED"
               for review in seen.reviews)
    assert {found.notebook.etag for found in
            story.media.client.clean_room_asset_revisions.list(ROOM, NOTEBOOK, "reach")} == {story.etag, etag}
    ended = story.end(story.media, story.run(story.media, "reach", etag))
    assert ended.state.result_state == RunResultState.SUCCESS


def test_the_host_dies_in_the_middle_of_a_run_and_nothing_is_lost(story):
    etag = add_notebook(story.media, data.SLOW, "slow", ["media"])
    run_id = story.run(story.media, "slow", etag)
    running = time.monotonic() + 60
    while story.media.client.jobs.get_run(run_id).state.life_cycle_state != RunLifeCycleState.RUNNING:
        assert time.monotonic() < running, "the run does not start"
        time.sleep(0.1)
    story.world.host.kill_and_restart()
    ended = story.end(story.media, run_id)
    assert ended.state.result_state == RunResultState.FAILED
    assert "host-restarted" in ended.state.state_message
    again = story.end(story.media, story.run(story.media, "reach", story.etag, least="20"))
    assert again.state.result_state == RunResultState.SUCCESS
    runs = list(story.retail.client.clean_room_task_runs.list(ROOM))
    assert sum(run.notebook_name == "slow" for run in runs) == 1


def test_a_run_is_cancelled(story):
    etag = story.media.client.clean_room_assets.get(ROOM, NOTEBOOK, "slow").notebook.etag
    run_id = story.run(story.media, "slow", etag)
    time.sleep(1)
    story.media.client.jobs.cancel_run(run_id)
    ended = story.end(story.media, run_id)
    assert ended.state.result_state == RunResultState.CANCELED


def test_people_do_what_they_may(story):
    token = add_person(story.media, "analyst@media.example", "browse")
    analyst = workspace(story.media, token)
    assert [room.name for room in analyst.clean_rooms.list()] == [ROOM]
    with pytest.raises(PermissionDenied):
        analyst.clean_room_assets.delete(ROOM, NOTEBOOK, "reach")
    with pytest.raises(PermissionDenied):
        analyst.jobs.submit(run_name="x", tasks=[SubmitTask(
            task_key="only",
            clean_rooms_notebook_task=CleanRoomsNotebookTask(clean_room_name=ROOM, notebook_name="reach"))])
    denied = story.media.glovebox("gateway", "audit", "--state", story.media.home / "gateway",
                                  json_output=True)
    denied = denied if isinstance(denied, list) else denied["entries"]
    assert any("analyst@media.example" in str(entry) for entry in denied)
    assert token not in str(denied)


def test_what_is_not_there_is_missing(story):
    client = story.retail.client
    with pytest.raises((NotFound, ResourceDoesNotExist)):
        client.clean_rooms.get("no-such-room")
    with pytest.raises((NotFound, ResourceDoesNotExist)):
        client.clean_room_assets.get(ROOM, NOTEBOOK, "no-such-notebook")
    with pytest.raises((BadRequest, DatabricksError)):
        list(client.clean_rooms.list(page_token="forged"))


def test_the_log_verifies_offline(story):
    bundle = story.retail.home / "room.bundle"
    story.retail.glovebox("bundle", ROOM, "-o", bundle, "--as", story.retail.key, host=True)
    said = story.retail.glovebox("verify", bundle)
    assert "verified" in said


def test_pages_are_walked(story):
    client = story.media.client
    names, token = [], None
    while True:
        query = {"page_size": 1, **({"page_token": token} if token else {})}
        page = client.api_client.do("GET", f"/api/2.0/clean-rooms/{ROOM}/task-runs", query=query)
        names += [run["name"] for run in page.get("runs", [])]
        token = page.get("next_page_token")
        if not token:
            break
    assert len(names) == len(list(client.clean_room_task_runs.list(ROOM)))
    assert len(names) > 2
