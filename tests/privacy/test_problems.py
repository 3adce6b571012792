"""The errors that no capability raises itself."""

from __future__ import annotations

import pytest
from werkzeug.exceptions import BadRequest, ImATeapot

from policies.errors import TooManyAttempts
from tests.support.cast import introduce, signed_in_as
from tests.support.world import World


@pytest.mark.parametrize("error", [BadRequest(), ImATeapot()])
def test_an_http_error_without_a_code_of_its_own_is_a_bad_request(
    world: World, error: Exception
) -> None:
    with world.app.test_request_context("/v1/purposes"):
        answer = world.app.make_response(world.app.handle_user_exception(error))
    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["type"] == "/problems/bad-request"


def test_a_form_without_its_token_is_a_problem_that_changes_nothing(world: World) -> None:
    ana = introduce(world)
    signed_in_as(world, ana)
    answer = world.client.post(
        "/privacy/consents",
        data={"purpose": "newsletter", "action": "grant", "notice_version": "2", "language": "es"},
    )
    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["type"] == "/problems/csrf-failed"
    with world.placet.runtime.snapshot() as session:
        assert world.placet.consents.history(session, ana.subject_id) == []


def test_too_many_attempts_say_when_to_come_back(world: World) -> None:
    refusal = TooManyAttempts("wait", retry_after_seconds=7)
    with world.app.test_request_context("/v1/purposes"):
        answer = world.app.make_response(world.app.handle_user_exception(refusal))
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "7"
    assert answer.json is not None
    assert answer.json["type"] == "/problems/too-many-attempts"
