import base64, time, threading
import pytest
from databricks.sdk.service import cleanrooms as cr
from test_databricks_sdk import *
from test_gateway_details import story, submit, restart, offer  # noqa

PY = open("/work/main/tests/bench/smallest/smallest.py").read().replace("smallest-python","smallest").replace("\"a.t\"","\"retail.customers\"").replace("{ v =","{ spend =")

def test_python(story):
    print(PY[:300])
    t=time.time()
    a = story.media.client.clean_room_assets.create(ROOM, cr.CleanRoomAsset(name="smallest", asset_type=NOTEBOOK,
        notebook=cr.CleanRoomAssetNotebook(notebook_content=base64.b64encode(PY.encode()).decode())))
    print(time.time()-t, a.status)
    while a.status.value != "ACTIVE":
        time.sleep(1); a = story.media.client.clean_room_assets.get(ROOM, NOTEBOOK, "smallest")
    print(time.time()-t, a.status, a.notebook.etag, a.notebook.runner_collaborator_aliases)

def test_race(story):
    ids=[]
    errs=[]
    def go(i):
        try: ids.append(submit(story.media, least="20"))
        except Exception as e: errs.append(e)
    ts=[threading.Thread(target=go,args=(i,)) for i in range(12)]
    [t.start() for t in ts]; [t.join() for t in ts]
    print(len(ids), len(set(ids)), errs)
    for i in ids: print(story.end(story.media,i).state.result_state)
    tok=[]
    def go2(i):
        tok.append(submit(story.media, token="same", least="20"))
    ts=[threading.Thread(target=go2,args=(i,)) for i in range(6)]
    [t.start() for t in ts]; [t.join() for t in ts]
    print(tok); assert len(set(tok))==1 and len(tok)==6

def test_down(story):
    import requests
    story.world.host.server.kill()
    t=time.time()
    r=requests.get(story.media.gateway_url+"/api/2.0/clean-rooms/"+ROOM, headers={"Authorization":"Bearer "+story.media.token})
    print(time.time()-t, r.status_code, r.text, r.headers)
    assert r.status_code==503
    story.world.host.start()
    r=requests.get(story.media.gateway_url+"/api/2.0/clean-rooms/"+ROOM, headers={"Authorization":"Bearer "+story.media.token})
    assert r.status_code==200
