"""Everything as one file: recorded before it leaves, and never in memory at once."""

import io
import json
import tracemalloc
import zipfile

import pytest

from policies.vocabulary import EventTag
from privacy.actor import SYSTEM
from privacy.consent.attachment_model import Upload
from tests.privacy.consent.test_suppression import tags
from tests.support.cast import Person, give
from tests.support.forms import csrf_token, submit
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
TAG = EventTag.DECISIONS_DATA_DOWNLOADED.value


def test_taking_everything_is_recorded_once_and_looking_at_the_page_is_not(
    world: World, ana: Person
) -> None:
    give(world, ana)
    assert world.client.get("/privacy/download").status_code == 200
    assert tags(world).count(TAG) == 0
    answer = submit(world.client, "/privacy/download", {})
    assert tags(world).count(TAG) == 1
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        assert archive.testzip() is None
        events = json.loads(archive.read("consentimientos.json"))["events"]
        assert [event["action"] for event in events] == ["given"]


def test_many_large_files_are_never_in_memory_at_once(world: World, ana: Person) -> None:
    give(world, ana)
    submit(world.client, "/privacy/download", {})  # what is made once is made before it is measured
    length, count = 1024 * 1024, 16
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        for number in range(count):
            text = uow.ids.random_bytes(length // 2).hex()
            upload = Upload(f"carta-{number}.txt", text.encode())
            world.placet.people.attachments.add(uow, ana.subject_id, upload)
        uow.commit()
    browser = world.client
    token = csrf_token(browser.get("/privacy/download").text)
    tracemalloc.start()
    try:
        answer = browser.post("/privacy/download", data={"csrf_token": token}, buffered=False)
        size = sum(len(piece) for piece in answer.iter_encoded())
        _now, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    answer.close()
    assert size > count * length // 2  # hexadecimal digits, deflated
    assert most < count * length // 2, most
