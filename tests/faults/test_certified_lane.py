"""A piece that leaves the simulated lane by the real workflow has a certificate that holds."""

from station.audit.certificate_check import check_certificate
from station.domain.piece import PieceState
from tests.support.audit_logs import KEYS, seal
from tests.support.certificates import certifier
from tests.support.virtual_scene import Scene, play


def test_what_a_lane_released_is_certified():
    async def scene(scene: Scene) -> None:
        piece_id = await scene.feed()
        await scene.until_state(piece_id, PieceState.RELEASED)
        store = scene.station.store
        seal(store)
        proved = check_certificate(certifier(store).certificate(piece_id), KEYS)
        assert proved.story.gate.open["exit_seen"]
        assert proved.story.scan.told is not None
        assert proved.story.scan.told["sha256"] == scene.newest_scan(piece_id)

    play(scene)
