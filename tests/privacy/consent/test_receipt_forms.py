"""Each kind of receipt satisfies the published schemas and shapes, and none with a hole does."""

import copy
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyshacl
import pytest
from jsonschema import Draft202012Validator, FormatChecker
from rdflib import Graph

from policies.errors import InvalidInput
from policies.register.loader import load as load_register
from policies.register.model import Register
from policies.vocabulary import ConsentAction, ConsentChannel, SaidBy
from privacy.consent.model import ConsentEvent, Shown
from privacy.consent.receipt_claims import claims
from privacy.consent.receipt_description import describe, dump, load
from privacy.consent.receipt_facts import DPV_STATUS, LogPlace, ReceiptFacts
from privacy.consent.receipt_jsonld import CONTEXT, json_ld
from privacy.consent.receipt_kantara import kantara
from privacy.settings import EXAMPLE_REGISTER
from tests.support.world import NOON

SCHEMA = Path(__file__).resolve().parents[3] / "docs" / "schema"
JWS = "eyJh.eyJi.c2ln"
LEAF = b'{"v":1}'
PROOF = "c2sp.org/tlog-proof@v1\nindex 7\n\nlog\n8\nroot\n\nsigned\n"

Path_ = tuple[str | int, ...]

# rdflib's own reader of JSON-LD uses what rdflib has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")


@pytest.fixture(scope="module")
def register() -> Register:
    return load_register(EXAMPLE_REGISTER)


@pytest.fixture(scope="module")
def shapes() -> Graph:
    return Graph().parse(SCHEMA / "consent-receipt.shacl.ttl")


def schema(name: str) -> Draft202012Validator:
    content = json.loads((SCHEMA / name).read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(content)
    return Draft202012Validator(content, format_checker=FormatChecker())


CLAIMS = schema("consent-receipt.schema.json")
KANTARA = schema("kantara-consent-receipt.schema.json")


def facts_of(
    register: Register,
    action: ConsentAction = ConsentAction.GIVEN,
    said_by: SaidBy = SaidBy.PERSON,
    *,
    purpose: str = "partner-advertising",
    person: str | None = None,
) -> ReceiptFacts:
    is_grant = action in (ConsentAction.GIVEN, ConsentAction.RENEWED)
    known = register.purpose(purpose)
    event = ConsentEvent(
        event_id="0f" * 16,
        subject_id="5b" * 16,
        purpose=purpose,
        action=action,
        at=NOON,
        notice="newsletter",
        notice_version=2,
        notice_digest="ab" * 32,
        language="es",
        channel=ConsentChannel.WEB,
        register_revision=register.revision,
        expires_at=NOON + timedelta(days=30) if is_grant else None,
        explicit=is_grant,
        recorded_by="person",
        said_by=said_by,
        recorded_at=NOON + timedelta(minutes=3),
        attachment="cd" * 32,
        follows="1e" * 16,
        entry_id="2d" * 16,
    )
    return ReceiptFacts(
        event=event,
        words=Shown("newsletter", 2, "ab" * 32, "es", "# La carta"),
        controller=register.controller,
        description=describe(register, known) if known else None,
        place=LogPlace(index=7, leaf=LEAF, proof=PROOF),
        person=person,
        base_url="https://consent.example",
        at=NOON + timedelta(minutes=5),
    )


def every_kind(register: Register) -> list[ReceiptFacts]:
    kinds = [facts_of(register, action) for action in ConsentAction]
    words = [facts_of(register, said_by=said_by) for said_by in SaidBy]
    gone = facts_of(register, purpose="long-gone", person="pseudonym")
    pending = replace(facts_of(register), place=LogPlace(index=None, leaf=LEAF, proof=None))
    others = [facts_of(register, purpose=each) for each in register.purposes]
    return [*kinds, *words, gone, pending, *others]


def linked(facts: ReceiptFacts) -> dict[str, Any]:
    return json_ld(facts, JWS)


def conforms(document: Mapping[str, Any], shapes: Graph) -> tuple[bool, str]:
    graph = Graph().parse(data=json.dumps(document), format="json-ld")
    holds, _report, words = pyshacl.validate(graph, shacl_graph=shapes)
    return bool(holds), str(words)


def without(document: Mapping[str, Any], path: Path_) -> dict[str, Any]:
    """A copy of the document that lacks what stands at the path."""
    changed: Any = copy.deepcopy(dict(document))
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    del inner[path[-1]]
    return dict(changed)


def test_every_kind_of_receipt_satisfies_the_schema_of_its_claims(register: Register) -> None:
    for facts in every_kind(register):
        told: dict[str, Any] = claims(facts)
        assert [error.message for error in CLAIMS.iter_errors(told)] == [], facts.event
        [event] = told["events"]
        assert event["event_state"] == DPV_STATUS[facts.event.action]


def test_every_kind_of_receipt_satisfies_the_shapes(register: Register, shapes: Graph) -> None:
    graph = Graph()
    for number, facts in enumerate(every_kind(register)):
        event = replace(facts.event, event_id=f"{number:032x}")
        graph.parse(data=json.dumps(linked(replace(facts, event=event))), format="json-ld")
    holds, _report, words = pyshacl.validate(graph, shacl_graph=shapes)
    assert holds, words


def test_the_mandatory_fields_of_a_record_are_dpv_terms(register: Register) -> None:
    document = linked(facts_of(register, said_by=SaidBy.GUARDIAN))
    graph = Graph().parse(data=json.dumps(document), format="json-ld")
    asked = """
        PREFIX dpv: <https://w3id.org/dpv#> PREFIX loc: <https://w3id.org/dpv/loc#>
        PREFIX eu-gdpr: <https://w3id.org/dpv/legal/eu/gdpr#>
        PREFIX dct: <http://purl.org/dc/terms/> PREFIX xsd: <http://www.w3.org/2001/XMLSchema#>
        ASK { ?receipt a dpv:ConsentReceipt ; dpv:hasRecordOfActivity ?record ;
                dct:conformsTo <https://w3id.org/dpv/schema/dpv-27560#receipt-eu-gdpr> .
              ?record dpv:hasJurisdiction loc:ES ;
                dpv:hasConsentStatus [ a dpv:ConsentGiven, dpv:ExplicitlyExpressedConsent ;
                  dpv:isIndicatedBy dpv:GuardianOfDataSubject ;
                  dpv:isIndicatedAtTime ?at ] ;
                dpv:hasProcess [ dpv:hasPurpose dpv:TargetedAdvertising ;
                  dpv:hasLegalBasis eu-gdpr:A6-1-a ; dpv:hasRecipientThirdParty ?partner ] .
              ?partner dpv:hasName "Mediterránea de Audiencias, S.A." ; dpv:hasLocation loc:ES .
              FILTER(?at = "2026-03-03T11:00:00Z"^^xsd:dateTime) }
    """
    assert graph.query(asked).askAnswer


RECORD = "dpv:hasRecordOfActivity"
PROCESS: Path_ = (RECORD, "dpv:hasProcess", 0)
STATUS: Path_ = (RECORD, "dpv:hasConsentStatus", 0)
#: Each mandatory field: where the claims hold it, and where the JSON-LD does.
MANDATORY: list[tuple[Path_, Path_]] = [
    (("schema_version",), ("dct:conformsTo",)),
    (("receipt_id",), ("dct:identifier",)),
    (("record_id",), (RECORD, "dct:identifier")),
    (("pii_principal_id",), (RECORD, "dpv:hasDataSubject")),
    (("notice",), (RECORD, "dpv:hasNotice")),
    (("notice", "language"), (RECORD, "dpv:hasNotice", "dct:language")),
    (("notice", "text"), (RECORD, "dpv:hasNotice", "schema:text")),
    (("processing",), (RECORD, "dpv:hasProcess")),
    (("processing", 0, "purpose"), (*PROCESS, "dct:identifier")),
    (("processing", 0, "purpose_type"), (*PROCESS, "dpv:hasPurpose")),
    (("processing", 0, "lawful_basis"), (*PROCESS, "dpv:hasLegalBasis")),
    (("processing", 0, "pii_type"), (*PROCESS, "dpv:hasPersonalData")),
    (("processing", 0, "pii_controllers"), (*PROCESS, "dpv:hasDataController")),
    (("processing", 0, "storage_locations"), (*PROCESS, "dpv:hasStorageCondition", 0)),
    (("processing", 0, "retention_period"), (*PROCESS, "dpv:hasStorageCondition", 1)),
    (("processing", 0, "recipient_third_parties"), (*PROCESS, "dpv:hasRecipient")),
    (("processing", 0, "withdrawal_method"), (*PROCESS, "dpv:hasConsentControl")),
    (("processing", 0, "privacy_rights"), (*PROCESS, "dpv:hasRight")),
    (("processing", 0, "jurisdiction"), (*PROCESS, "dpv:hasJurisdiction")),
    (("parties", 0, "id"), (RECORD, "dpv:hasEntity", 0, "dpv:hasIdentifier")),
    (("parties", 0, "name"), (RECORD, "dpv:hasEntity", 0, "dpv:hasName")),
    (("parties", 0, "address"), (RECORD, "dpv:hasEntity", 0, "dpv:hasAddress")),
    (("parties", 0, "contact"), (RECORD, "dpv:hasEntity", 0, "dpv:hasContact")),
    (("parties", 0, "type"), (RECORD, "dpv:hasEntity", 0, "@type")),
    (("events",), (RECORD, "dpv:hasConsentStatus")),
    (("events", 0, "event_time"), (*STATUS, "dpv:isIndicatedAtTime")),
    (("events", 0, "validity_duration"), (*STATUS, "dpv:hasDuration")),
    (("events", 0, "entity_id"), (*STATUS, "dpv:isIndicatedBy")),
    (("events", 0, "event_type"), (*STATUS, "@type", 1)),
    (("events", 0, "event_state"), (*STATUS, "@type", 0)),
    (("events", 0, "said_by"), (*STATUS, "placet:saidBy")),
]


def test_a_receipt_that_lacks_a_mandatory_field_satisfies_neither(
    register: Register, shapes: Graph
) -> None:
    facts = facts_of(register)
    told, document = claims(facts), linked(facts)
    for in_claims, in_document in MANDATORY:
        assert not CLAIMS.is_valid(without(told, in_claims)), in_claims
        holds, _words = conforms(without(document, in_document), shapes)
        assert not holds, in_document


def test_a_receipt_with_a_wrong_value_satisfies_neither(register: Register, shapes: Graph) -> None:
    facts = facts_of(register)
    told: dict[str, Any] = claims(facts)
    told["events"][0]["event_state"] = "dpv:ConsentTerminated"  # of no published version
    assert not CLAIMS.is_valid(told)
    document = linked(facts)
    document[RECORD]["dpv:hasConsentStatus"][0]["@type"][0] = "dpv:ConsentTerminated"
    assert not conforms(document, shapes)[0]


def test_the_served_context_is_the_one_in_the_documents() -> None:
    served = json.loads((SCHEMA / "consent-receipt.context.jsonld").read_text(encoding="utf-8"))
    assert served == {"@context": dict(CONTEXT)}


def test_a_kantara_receipt_names_whom_it_discloses_to_and_is_for_a_yes_alone(
    register: Register,
) -> None:
    for action in ConsentAction:
        facts = facts_of(register, action)
        if not facts.is_grant:
            with pytest.raises(InvalidInput):
                kantara(facts)
            continue
        told: dict[str, Any] = kantara(facts)
        assert [error.message for error in KANTARA.iter_errors(told)] == []
        assert told["consentTimestamp"] == int(NOON.timestamp())
        [purpose] = told["services"][0]["purposes"]
        assert purpose["thirdPartyName"] == "Mediterránea de Audiencias, S.A."
        del purpose["thirdPartyName"]
        assert not KANTARA.is_valid(told)


def test_a_kantara_receipt_calls_no_processor_a_third_party(register: Register) -> None:
    facts = facts_of(register, purpose="newsletter")
    assert facts.description
    assert facts.description.recipients
    told: dict[str, Any] = kantara(facts)
    [purpose] = told["services"][0]["purposes"]
    assert (purpose["thirdPartyDisclosure"], "thirdPartyName" in purpose) == (False, False)
    assert [error.message for error in KANTARA.iter_errors(told)] == []


def test_a_kantara_receipt_of_special_data_lists_it(register: Register) -> None:
    facts = facts_of(register)
    assert facts.description
    special = tuple(replace(each, special=True) for each in facts.description.categories)
    facts = replace(facts, description=replace(facts.description, categories=special))
    told = kantara(facts)
    assert told["sensitive"] is True
    assert told["spiCat"]
    assert not KANTARA.is_valid(told | {"spiCat": []})
    signed: dict[str, Any] = claims(facts)
    assert signed["processing"][0]["special_category_condition"] == "eu-gdpr:A9-2-a"


def test_an_application_learns_no_other_event_from_a_receipt(register: Register) -> None:
    own = json.dumps(claims(facts_of(register)))
    told = json.dumps(claims(facts_of(register, person="pseudonym")))
    assert "1e" * 16 in own
    assert "1e" * 16 not in told
    for text in (own, told):
        assert "5b" * 16 not in text  # nobody's receipt has the person's id


def test_a_kept_description_is_read_back_as_it_was(register: Register) -> None:
    for purpose in register.purposes.values():
        description = describe(register, purpose)
        assert load(dump(description)) == description
