"""Known blocks of images are searched for wherever a station writes: there are none, and without encryption there would be."""

import shutil
import tempfile
from pathlib import Path

import pytest

from station.domain.errors import ImageKeyLostError
from station.domain.piece import Secrecy
from tests.support.api_station import Desk
from tests.support.images import raw_scan, result
from tests.support.plain_search import hits, scan_forms, view_forms, write_in_clear
from tests.support.vault_killed import ORDER
from tests.support.vaults import KEYS, vault


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this process puts its temporary files."""
    directory = tmp_path / "tmp"
    directory.mkdir()
    monkeypatch.setenv("TMPDIR", str(directory))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return directory


def test_the_interface_serves_pictures_and_leaves_none_in_clear(tmp_path: Path, temporary: Path):
    here = tmp_path / "station"
    desk = Desk(here)
    try:
        piece_id, sha256 = desk.put_piece()
        assert sha256 is not None
        for name in ("view.png", "heat.png"):
            assert desk.client.get(f"/api/v1/scans/{sha256}/{name}", params={"piece": piece_id}).status_code == 200
        scan, read = raw_scan(seed=5), result(5)
        other = desk.images.put(scan, Secrecy.A)
        desk.images.put_views(other, read)
        desk.images.relevel(other, None)
        forms = scan_forms(scan, other) | view_forms(read)
        served = view_forms(desk.images.views(sha256))
        shown = {"served view": served["view"]} | scan_forms(desk.images.scan(sha256), sha256)
        # The database's log is still there, and a backup is a copy of everything but the keys.
        assert (here / "data" / "station.db-wal").stat().st_size
        backup = tmp_path / "backup"
        shutil.copytree(here, backup, ignore=shutil.ignore_patterns(KEYS))
        assert hits(forms, (here, backup, temporary)) == set()
        del shown["calibration"]
        assert hits(shown, (here, backup, temporary)) == set()
        for number, one in enumerate((forms, shown)):
            clear = tmp_path / f"clear-{number}"
            write_in_clear(clear, one)
            assert {hit.partition(" in ")[0] for hit in hits(one, (clear,))} == set(one)
        # Destroyed here, the images of the backup are gone as well.
        for key in desk.images.existing_keys():
            desk.images.destroy(key, (), ORDER)
        restored = vault(backup / "images", desk.clock, keys=here / KEYS)
        for gone in (sha256, other):
            with pytest.raises(ImageKeyLostError):
                restored.scan(gone)
    finally:
        desk.close()
