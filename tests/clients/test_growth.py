"""The later version of the service, and the check of what a flow has met."""

import json

from tests.clients.flows import LATER_REFUSALS, REFUSALS, mistakes
from tests.clients.stub import NEW_MEMBERS, NEW_REFUSALS, later_version


def printed(name: str) -> str:
    status, code = REFUSALS[name]
    return f"refusal\t{name}\t{status}\t{code}\n"


def test_every_object_of_a_later_response_has_new_members_but_attributes_have_not() -> None:
    body = {"items": [{"attributes": {"map": "harbour"}, "server": {"port": 7777}}]}
    status, later = later_version(200, json.dumps(body).encode())
    assert status == 200
    item = json.loads(later)["items"][0]
    assert item["attributes"] == {"map": "harbour"}
    assert item["server"] == {"port": 7777} | NEW_MEMBERS
    assert NEW_MEMBERS.items() <= item.items() and NEW_MEMBERS.items() <= json.loads(later).items()


def test_a_later_refusal_has_a_new_code_and_status() -> None:
    for code, (status, new_code) in NEW_REFUSALS.items():
        later, body = later_version(409, json.dumps({"code": code, "status": 409}).encode())
        document = json.loads(body)
        assert (later, document["status"], document["code"]) == (status, status, new_code)
    assert later_version(409, b'{"code": "session_over", "status": 409}')[0] == 409


def test_a_flow_must_meet_every_refusal_with_its_status_and_code() -> None:
    complete = "".join(map(printed, REFUSALS))
    assert not mistakes(complete, REFUSALS)
    assert len(mistakes(complete, LATER_REFUSALS)) == len(NEW_REFUSALS)
    assert len(mistakes(complete.replace(printed("session_over"), ""), REFUSALS)) == 1
    assert len(mistakes(complete + "refusal\tother\t409\tother\n", REFUSALS)) == 1
