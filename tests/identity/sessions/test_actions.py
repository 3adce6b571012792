"""Every view that changes a way into an account, or erases, says what it demands."""

import pytest

from policies.assurance import Action
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)

#: POST views below /account that ask for no more than a session, each with its reason.
NO_MORE_THAN_A_SESSION = {
    "/account/addresses/code": "finishes a change that was begun under change-address",
    "/account/asks/<request_id>": "the person's own words about themselves",
    "/account/closing": "takes a closing back, which is all that such a session can do",
    "/account/closing/<token>": "takes a closing back by the mailed link, and opens nothing",
    "/account/factor-recovery/cancel": "stops a recovery: it makes the account safer",
    "/account/language": "changes the language of pages and letters alone",
    "/account/notices": "accepts or refuses the terms",
    "/account/notices/later": "puts a question off",
    "/account/profile": "the person's own words about themselves",
}
DEMANDS = {
    "/account/password": Action.CHANGE_PASSWORD,
    "/account/totp": Action.CHANGE_FACTORS,
    "/account/totp/remove": Action.CHANGE_FACTORS,
    "/account/sessions/end": Action.END_SESSIONS,
    "/account/sessions/end-others": Action.END_SESSIONS,
    "/account/devices/distrust": Action.CHANGE_FACTORS,
    "/account/devices/forget": Action.END_SESSIONS,
    "/account/applications/<string(length=32):client_id>/end": Action.END_SESSIONS,
    "/account/close": Action.CLOSE_ACCOUNT,
    "/rights/erasure": Action.ERASE_DATA,
    "/rights/requests/<reference>/data": Action.SEE_ALL_DATA,
}


def test_every_sensitive_form_declares_its_action_or_is_listed_with_a_reason(world: World) -> None:
    views = world.app.view_functions
    declared = {
        rule.rule: getattr(views[rule.endpoint], "required_action", None)
        for rule in world.app.url_map.iter_rules()
        if "POST" in (rule.methods or ()) and rule.endpoint != "static"
    }
    assert {rule: declared.get(rule) for rule in DEMANDS} == DEMANDS
    of_accounts = {rule for rule in declared if rule.startswith("/account/")}
    undeclared = {rule for rule in of_accounts if declared[rule] is None}
    assert undeclared == set(NO_MORE_THAN_A_SESSION)
    for rule, action in declared.items():
        if rule.startswith("/admin"):
            assert action is Action.ADMINISTRATION, rule
        if rule.startswith("/dpo"):
            assert action is Action.DESK, rule
