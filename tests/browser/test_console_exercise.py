"""An exercise on the operator's page: the image like any other, then the truth, confirmed only when it is on screen."""

import dataclasses

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from station.domain.access import Role
from station.domain.piece import PieceState
from station.domain.projection import ProjectionAnswer
from station.domain.review import OperatorDecision
from station.workflow.views import ExerciseView
from tests.browser.conftest import come_in
from tests.support.api_station import LANE, Desk

pytestmark = pytest.mark.browser


def test_a_screen_on_which_nobody_may_decide_tells_the_truth_and_confirms_nothing(desk: Desk, page: Page, context: BrowserContext) -> None:
    come_in(context, desk, "chief", roles=frozenset({Role.SUPERVISOR}))
    desk.lane.show(exercise=told_of("P1"))
    page.goto(f"/lane/{LANE}")
    expect(page.locator("#exercise .truth")).to_be_visible()
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(done))))")
    page.evaluate("() => fetch('/api/v1/session')")
    expect(page.locator("#message")).to_be_hidden()
    assert desk.lane.asked == []


def told_of(piece_id: str) -> ExerciseView:
    return ExerciseView(
        piece_id=piece_id,
        visit=1,
        answer=ProjectionAnswer.MISSED,
        threat_class="blade",
        box_share=(0.25, 0.25, 0.5, 0.5),
        confirmed=False,
        silence_freezes=False,
        level=None,
    )


def test_the_truth_follows_the_answer_and_the_true_image_is_decided_anew(desk: Desk, page: Page) -> None:
    piece_id, true_sha256 = desk.put_piece(state=PieceState.SCANNED)
    _, shown_sha256 = desk.put_piece()
    assert true_sha256 is not None
    assert shown_sha256 is not None
    # The picture itself is whatever the interface gives; here a stored one of another piece stands for it.
    page.route(f"**/scans/{shown_sha256}/view.png*", lambda route: route.fulfill(body=desk.images.views(shown_sha256).view_png))
    desk.ask_operator(piece_id, shown_sha256)
    desk.lane.answers_exercises = True
    page.goto(f"/lane/{LANE}")
    expect(page.locator("#exercise")).to_be_hidden()
    expect(page.locator("#clear")).to_be_enabled()
    with page.expect_response("**/decision"):
        page.keyboard.press("F2")
    told = told_of(piece_id)
    desk.lane.answers_exercises = False
    desk.ask_operator(piece_id, true_sha256)
    desk.lane.show(exercise=told)
    expect(page.locator("#exercise .truth")).to_have_text("Luyện tập: ảnh vừa rồi có chèn thử dao hoặc lưỡi sắc. Đã bỏ sót.")
    expect(page.locator("#exercise")).to_contain_text(piece_id)
    expect(page.locator(".thing-mark rect")).to_have_attribute("x", "24")
    expect(page.locator("#clear")).to_be_enabled()
    assert desk.lane.asked == [
        ("decide", piece_id, 1, shown_sha256, OperatorDecision.CLEAR, "operator"),
        ("confirm", piece_id, 1),
    ]
    expect(page.locator("#message")).to_be_hidden()
    desk.lane.show(exercise=dataclasses.replace(told, answer=ProjectionAnswer.CALLED_FREEZE, confirmed=True, silence_freezes=True))
    expect(page.locator("#exercise .truth")).to_contain_text("Đã phát hiện")
    expect(page.locator("#exercise .attention")).to_be_visible()
    page.keyboard.press("F2")
    expect(page.locator("#request")).to_contain_text("Không có ảnh nào chờ quyết định")
    assert desk.lane.asked[-1] == ("decide", piece_id, 1, true_sha256, OperatorDecision.CLEAR, "operator")
