"""`GET /certificates/{piece}`: what the command line writes, and why there is none."""

from station.audit.certificate import MARKED, UNMARKED
from station.audit.certificate_check import check_certificate
from station.domain.piece import Secrecy
from tests.support.api_station import Desk
from tests.support.audit_logs import KEYS, seal
from tests.support.certificates import MODEL, PICTURE, changed, facts_of_a_release, tell


def test_a_released_pieces_certificate_is_given_in_the_form_that_its_level_asks_for(desk: Desk):
    plain, marked, held = desk.new_id(), desk.new_id(), desk.new_id()
    path = "/api/v1/certificates"
    desk.write(lambda unit: tell(unit, plain, facts_of_a_release(plain).values()))
    for piece_id, code in ((plain, "certificate-not-yet"), ("EE000000005VN", "not-found")):
        answer = desk.client.get(f"{path}/{piece_id}", headers={"Accept-Language": "en"})
        assert (answer.json()["code"], answer.headers["cache-control"]) == (code, "no-store")
    of_marked = changed(facts_of_a_release(marked), "identification", secrecy=Secrecy.C)
    desk.write(lambda unit: tell(unit, marked, of_marked.values(), secrecy=Secrecy.C))
    desk.write(lambda unit: tell(unit, held, facts_of_a_release(held).values(), leaves=False))
    seal(desk.store)
    for piece_id, form in ((plain, UNMARKED), (marked, MARKED)):
        answer = desk.client.get(f"{path}/{piece_id}")
        assert (answer.status_code, answer.headers["content-type"], answer.headers["cache-control"]) == (
            200,
            "application/json",
            "no-store",
        )
        assert check_certificate(answer.content, KEYS).certificate.form == form
        assert (PICTURE.encode() in answer.content, b"score" in answer.content) == ((True, True) if form == UNMARKED else (False, False))
        assert MODEL.encode() in answer.content
        assert "Nguyễn" not in answer.text
    answer = desk.client.get(f"{path}/{held}", headers={"Accept-Language": "en"})
    assert (answer.status_code, answer.json()["code"]) == (409, "certificate-not-released")
    assert answer.json()["title"] == "The piece was not released by a permit: only a released piece has a certificate"


def test_facts_that_make_no_certificate_are_told_as_that(desk: Desk):
    piece_id = desk.new_id()
    facts = changed(facts_of_a_release(piece_id), "clearance", by=("Trần Bình",))
    desk.write(lambda unit: tell(unit, piece_id, facts.values()))
    seal(desk.store)
    answer = desk.client.get(f"/api/v1/certificates/{piece_id}")
    assert (answer.status_code, answer.json()["code"]) == (409, "certificate-not-provable")
    assert "authority-missing: leaf" in answer.json()["detail"]
