"""What the story of the released databricks-sdk leaves out: views, volumes, files, restarts of a
gateway, deletion, and requests that make no sense."""

import base64
import io

import pyarrow.parquet as pq
import pytest
import requests
from databricks.sdk.errors import (BadRequest, DatabricksError, InvalidParameterValue, NotFound,
                                   PermissionDenied, ResourceAlreadyExists)
from databricks.sdk.service import cleanrooms as cr
from databricks.sdk.service.jobs import CleanRoomsNotebookTask, RunResultState, SubmitTask

import data
from people import add_person, workspace
from test_databricks_sdk import EVERYTHING, NOTEBOOK, ROOM, TABLE, Story, add_notebook, approve

VIEW = cr.CleanRoomAssetAssetType.VIEW
VOLUME = cr.CleanRoomAssetAssetType.VOLUME


@pytest.fixture(scope="module")
def story(world):
    """Two parties in a room with tables and an approved notebook."""
    story = Story(world)
    retail, media = story.retail, story.media

    def collaborator(party):
        return cr.CleanRoomCollaborator(collaborator_alias=party.alias,
                                        global_metastore_id=f"glovebox:test:{party.public_key}")

    retail.client.clean_rooms.create_and_wait(cr.CleanRoom(
        name=ROOM, remote_detailed_info=cr.CleanRoomRemoteDetail(
            region="test", collaborators=[collaborator(retail), collaborator(media)])))
    media.client.clean_rooms.create_and_wait(cr.CleanRoom(name=ROOM))
    for party, name in ((retail, "customers"), (media, "exposures")):
        offer(party, TABLE, f"{party.alias}.{name}", f"main.sales.{name}")
        party.client.clean_rooms.create_output_catalog(
            ROOM, cr.CleanRoomOutputCatalog(catalog_name=f"{party.alias}_out"))
    story.etag = add_notebook(media, data.REACH, "reach", ["media"])
    approve(retail, "reach", story.etag)
    return story


def offer(party, kind, name, local_name, columns=None):
    details = {"local_name": local_name}
    asset = {"name": name, "asset_type": kind.value}
    if kind == VOLUME:
        asset["volume_local_details"] = details
    else:
        word = kind.value.lower()
        asset[f"{word}_local_details"] = details
        asset[word] = {"columns": [{"name": column} for column in columns or []]}
    return party.client.clean_room_assets.create(ROOM, cr.CleanRoomAsset.from_dict(asset))


def submit(party, token=None, **parameters):
    task = CleanRoomsNotebookTask(clean_room_name=ROOM, notebook_name="reach",
                                  notebook_base_parameters=parameters or None)
    submitted = party.client.jobs.submit(run_name="reach", idempotency_token=token, tasks=[
        SubmitTask(task_key="only", clean_rooms_notebook_task=task)])
    return submitted.response.run_id


def restart(party):
    party.stop()
    party.start_gateway()
    party.client = workspace(party, party.token)


def test_views_and_volumes_come_from_the_catalog(story):
    retail = story.retail
    with (retail.home / "catalog.toml").open("a") as catalog:
        catalog.write('[views."main.sales.spenders"]\nsql = "spenders.sql"\n'
                      'tables = { customers = "main.sales.customers" }\ncolumns = ["hem", "spend"]\n'
                      '[volumes."main.files.rules"]\npath = "rules"\n')
    retail.write("spenders.sql", "SELECT hem, spend, segment FROM customers WHERE spend > 10")
    retail.write("rules/deep/terms.txt", "be kind")
    view = offer(retail, VIEW, "retail.spenders", "main.sales.spenders")
    assert [column.name for column in view.view.columns] == ["hem", "spend"]
    assert view.view_local_details.local_name == "main.sales.spenders"
    with pytest.raises(InvalidParameterValue):
        offer(retail, VIEW, "retail.more", "main.sales.spenders", columns=["segment"])
    volume = offer(retail, VOLUME, "retail.rules", "main.files.rules")
    assert volume.status == cr.CleanRoomAssetStatusEnum.ACTIVE
    seen = {asset.name: asset for asset in story.media.client.clean_room_assets.list(ROOM)}
    assert seen["retail.spenders"].asset_type == VIEW
    assert seen["retail.spenders"].view_local_details is None
    assert seen["retail.rules"].asset_type == VOLUME


def test_a_table_answers_to_both_of_its_names(story):
    for name in ("retail.customers", "retail.default.customers"):
        assert story.media.client.clean_room_assets.get(ROOM, TABLE, name).name == name
    for name in ("retail.other.customers", "customers", "retail.customers;x"):
        with pytest.raises(DatabricksError):
            story.media.client.clean_room_assets.get(ROOM, TABLE, name)


def test_only_the_catalog_says_what_is_local(story):
    for local_name in ("/etc/passwd", "../media.key", "main.sales.customers/../../x", "nothing"):
        with pytest.raises(NotFound):
            offer(story.retail, TABLE, "retail.stolen", local_name)
    assert "retail.stolen" not in [asset.name for asset in story.retail.client.clean_room_assets.list(ROOM)]


def test_a_reviewer_reads_the_source(story):
    notebook = story.retail.client.clean_room_assets.get(ROOM, NOTEBOOK, "reach").notebook
    assert base64.b64decode(notebook.notebook_content).decode() == data.REACH
    revision = story.retail.client.clean_room_asset_revisions.get(ROOM, NOTEBOOK, "reach", story.etag)
    assert base64.b64decode(revision.notebook.notebook_content).decode() == data.REACH
    with pytest.raises(DatabricksError):
        story.retail.client.clean_room_asset_revisions.get(ROOM, NOTEBOOK, "reach", "blake3:" + "1" * 64)


def test_a_built_component_is_a_notebook_too(story):
    media = story.media
    text = data.REACH.replace('name = "reach"', 'name = "built"')
    source = media.write("built.sql", text)
    media.glovebox("build", source, "-o", media.home / "built.wasm")
    component = (media.home / "built.wasm").read_bytes()

    def add(name, content, **more):
        return media.client.clean_room_assets.create(ROOM, cr.CleanRoomAsset(
            name=name, asset_type=NOTEBOOK, notebook=cr.CleanRoomAssetNotebook(
                notebook_content=base64.b64encode(content).decode(),
                runner_collaborator_aliases=["media"], **more)))

    for name, content, more in (
            ("other", component, {}), ("built", component[:-1], {}), ("built", b"<html>", {}),
            ("built", b"SELECT 1", {}), ("built", component, {"description": "does good"})):
        with pytest.raises(InvalidParameterValue):
            add(name, content, **more)
    added = add("built", component)
    assert added.notebook.etag and added.notebook.etag != story.etag
    assert base64.b64decode(added.notebook.notebook_content).decode() == text
    media.client.clean_room_assets.delete(ROOM, NOTEBOOK, "built")
    with pytest.raises(NotFound):
        media.client.clean_room_assets.get(ROOM, NOTEBOOK, "built")


def test_a_token_makes_one_run_even_over_a_restart(story):
    media = story.media
    first = submit(media, token="nightly-1", least="20")
    assert submit(media, token="nightly-1", least="20") == first
    restart(media)
    assert submit(media, token="nightly-1", least="20") == first
    story.run_id = first
    ended = story.end(media, first)
    assert ended.state.result_state == RunResultState.SUCCESS
    assert ended.tasks[0].clean_rooms_notebook_task.notebook_base_parameters == {"least": "20"}
    restart(media)
    assert media.client.jobs.get_run(first).state.result_state == RunResultState.SUCCESS
    runs = list(media.client.clean_room_task_runs.list_clean_room_task_runs_handler(ROOM))
    assert [run.collaborator_job_run_info.collaborator_job_run_id for run in runs] == [first]
    listed = list(media.client.jobs.list_runs(completed_only=True))
    assert [run.run_id for run in listed] == [first]
    assert list(media.client.jobs.list_runs(active_only=True)) == []


def test_outputs_are_where_the_client_looks(story):
    client = story.media.client
    info = client.jobs.get_run_output(story.run_id).clean_rooms_notebook_output.output_schema_info
    assert info.catalog_name == "media_out"
    assert [schema.name for schema in client.schemas.list("media_out")] == [info.schema_name]
    (table,) = client.tables.list("media_out", info.schema_name)
    assert [column.name for column in table.columns] == ["segment", "campaign", "reach", "spend"]
    assert client.tables.get(table.full_name).properties["glovebox.rows"] == str(len(data.overlap(20)))
    path = f"/Volumes/media_out/{info.schema_name}/outputs/reach.parquet"
    assert table.properties["glovebox.file"] == path
    content = client.files.download(path).contents.read()
    assert client.files.get_metadata(path).content_length == len(content)
    assert pq.read_table(io.BytesIO(content)).to_pylist() == data.overlap(20)
    for wrong in (path.replace("reach", "other"), path.replace("media_out", "retail_out"),
                  path.replace("run_", "run_0"), path + "/../x"):
        with pytest.raises(DatabricksError):
            client.files.download(wrong)
    # The other party has the same catalog shape, and none of the runner's outputs.
    assert list(story.retail.client.schemas.list("retail_out")) == []
    with pytest.raises(DatabricksError):
        list(story.retail.client.tables.list("retail_out", info.schema_name))


def test_rules_change_and_go(story):
    rules = story.retail.client.clean_room_auto_approval_rules
    rule = rules.create(ROOM, cr.CleanRoomAutoApprovalRule(
        author_scope=cr.CleanRoomAutoApprovalRuleAuthorScope.ANY_AUTHOR, runner_collaborator_alias="media"))
    assert rule.author_scope == cr.CleanRoomAutoApprovalRuleAuthorScope.ANY_AUTHOR
    with pytest.raises(ResourceAlreadyExists):
        rules.create(ROOM, cr.CleanRoomAutoApprovalRule(
            author_scope=cr.CleanRoomAutoApprovalRuleAuthorScope.ANY_AUTHOR,
            runner_collaborator_alias="media"))
    for wrong in ({}, {"author_collaborator_alias": "media"}, {"runner_collaborator_alias": "media"},
                  {"author_collaborator_alias": "nobody", "runner_collaborator_alias": "media"},
                  {"author_collaborator_alias": "retail", "runner_collaborator_alias": "media"}):
        with pytest.raises(DatabricksError):
            rules.create(ROOM, cr.CleanRoomAutoApprovalRule.from_dict(wrong))
    changed = rules.update(ROOM, rule.rule_id, cr.CleanRoomAutoApprovalRule(
        author_collaborator_alias="media", runner_collaborator_alias="media"))
    assert changed.rule_id == rule.rule_id and changed.author_collaborator_alias == "media"
    with pytest.raises(NotFound):
        story.media.client.clean_room_auto_approval_rules.get(ROOM, rule.rule_id)
    rules.delete(ROOM, rule.rule_id)
    assert list(rules.list(ROOM)) == []
    with pytest.raises(NotFound):
        rules.delete(ROOM, rule.rule_id)


def ask(party, method, path, **options):
    answer = requests.request(method, f"{party.gateway_url}{path}", timeout=60,
                              headers={"Authorization": f"Bearer {party.token}"}, **options)
    return answer.status_code, answer.json()


def test_requests_that_make_no_sense_are_told_so(story):
    retail = story.retail
    rooms = "/api/2.0/clean-rooms"
    for status, code, method, path, body in (
            (404, "ENDPOINT_NOT_FOUND", "GET", "/api/2.0/clusters/list", None),
            (405, "ENDPOINT_NOT_FOUND", "DELETE", rooms, None),
            (400, "INVALID_PARAMETER_VALUE", "POST", rooms, {"name": "x", "surprise": 1}),
            (400, "INVALID_PARAMETER_VALUE", "POST", rooms, {"name": "../x"}),
            (400, "INVALID_PARAMETER_VALUE", "POST", rooms, [1]),
            (400, "INVALID_PARAMETER_VALUE", "GET", f"{rooms}?surprise=1", None),
            (400, "INVALID_PARAMETER_VALUE", "GET", f"{rooms}?page_token=AAAA", None),
            (400, "INVALID_PARAMETER_VALUE", "GET", f"{rooms}?page_size=x", None),
            (400, "INVALID_PARAMETER_VALUE", "GET", f"{rooms}/{ROOM}/assets/GENIE_SPACE/x", None),
            (404, "RESOURCE_DOES_NOT_EXIST", "GET", f"{rooms}/..%2f..%2fetc", None),
            (404, "RESOURCE_DOES_NOT_EXIST", "GET", f"{rooms}/{ROOM}/assets/TABLE/retail.nothing", None),
            (404, "RESOURCE_DOES_NOT_EXIST", "GET", "/api/2.2/jobs/runs/get?run_id=1", None),
            (400, "INVALID_PARAMETER_VALUE", "GET", "/api/2.2/jobs/runs/get?run_id=x", None),
            (400, "INVALID_PARAMETER_VALUE", "POST", "/api/2.2/jobs/runs/submit",
             {"tasks": [{"task_key": "x", "notebook_task": {"notebook_path": "/x"}}]})):
        found, answer = ask(retail, method, path, json=body)
        assert (found, answer["error_code"]) == (status, code), (method, path, answer)
        assert set(answer) == {"error_code", "message", "details"}
    status, answer = ask(retail, "POST", rooms, data=b"x" * (2 << 20))
    assert (status, answer["error_code"]) == (413, "INVALID_PARAMETER_VALUE")
    # Nobody unknown gets even that far.
    answer = requests.post(f"{retail.gateway_url}{rooms}", data=b"x", timeout=60)
    assert (answer.status_code, answer.json()["error_code"]) == (401, "UNAUTHENTICATED")


def test_a_page_token_is_its_owners(story):
    other = add_person(story.media, "other@media.example", *EVERYTHING)
    path = f"/api/2.0/clean-rooms/{ROOM}/assets?page_size=1"
    status, first = ask(story.media, "GET", path)
    assert status == 200 and first["next_page_token"]
    mine = f"{path}&page_token={first['next_page_token']}"
    assert ask(story.media, "GET", mine)[0] == 200
    answer = requests.get(f"{story.media.gateway_url}{mine}", timeout=60,
                          headers={"Authorization": f"Bearer {other}"})
    assert answer.status_code == 400


def test_what_is_the_partys_own_can_be_changed(story):
    client = story.retail.client
    add_person(story.retail, "other@retail.example", "browse")
    changed = client.clean_rooms.update(ROOM, clean_room=cr.CleanRoom(
        comment="ours", owner="other@retail.example"))
    assert (changed.comment, changed.owner) == ("ours", "other@retail.example")
    assert client.clean_rooms.get(ROOM).comment == "ours"
    assert story.media.client.clean_rooms.get(ROOM).comment is None
    for wrong in (cr.CleanRoom(name="other"), cr.CleanRoom(owner="nobody@retail.example"),
                  cr.CleanRoom(enable_shared_output=True)):
        with pytest.raises(BadRequest):
            client.clean_rooms.update(ROOM, clean_room=wrong)
    assert client.current_user.me().user_name == "admin@retail.example"


def test_a_deleted_room_runs_nothing_any_more(story):
    browser = workspace(story.retail, add_person(story.retail, "browser@retail.example", "browse"))
    with pytest.raises(PermissionDenied):
        browser.clean_rooms.delete(ROOM)
    story.retail.client.clean_rooms.delete(ROOM)
    with pytest.raises(NotFound):
        story.retail.client.clean_rooms.get(ROOM)
    assert list(story.retail.client.clean_rooms.list()) == []
    assert story.media.client.clean_rooms.get(ROOM).status == cr.CleanRoomStatusEnum.DELETED
    with pytest.raises(DatabricksError) as refused:
        submit(story.media)
    assert "paused" in str(refused.value)
