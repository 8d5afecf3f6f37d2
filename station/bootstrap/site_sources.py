"""Where a site's benign pieces come from: its own store, or a folder of pictures."""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from station.bootstrap.vault import open_images
from station.clock import SystemClock
from station.domain.benign import BenignScan, Unfit, first_scan
from station.domain.errors import ConfigurationError, NotFoundError, ScreeningError, StoreError
from station.domain.piece import PieceState
from station.domain.scan import Scan
from station.ports.store import ReadView
from station.screening.evaluation import PICTURE_SUFFIXES
from station.screening.manifest import UNKNOWN_KIND
from station.screening.picture_scores import on_grid
from station.screening.site_pieces import BenignPiece, PictureSource, ScanSource, printable
from station.screening.site_split import FITTED_OF_100, place_of
from station.settings import Configuration
from station.storage.image_store import FileImageStore
from station.storage.store import SqliteReader

PAGE = 500
NOT_BLIND = "not-read-blind"
"""Why a piece is not taken that serves, but would have to calibrate or be measured on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The pieces, and `told` for the report: where they come from and how many were not taken, by why.

    `fitted_on` is what the model is said to be fitted on: the site itself only for scans of its own lanes.
    """

    pieces: tuple[BenignPiece, ...]
    told: Mapping[str, Any]
    fitted_on: str


def stored_pieces(configuration: Configuration, since: datetime) -> Sources:
    """Released pieces whose first scan, made since then, may stand for harmless mail (see `first_scan`); read beside a running station.

    One that was not read blind is taken only if its name's part is the fit: it neither calibrates nor is measured on.

    Raises:
        StoreError: there is no database yet, or it cannot be read.
    """
    images = open_images(configuration, SystemClock())
    not_taken: Counter[str] = Counter()

    def query(view: ReadView) -> list[BenignScan]:
        found: list[BenignScan] = []
        after = None
        while page := view.pieces(states=(PieceState.RELEASED,), after=after, limit=PAGE):
            after = page[-1].piece_id
            for piece in page:
                if piece.state_since < since:
                    continue
                one = first_scan(piece, [row.evidence for row in view.evidence(piece.piece_id)])
                if isinstance(one, Unfit):
                    not_taken[one.value] += 1
                elif one.scan.at >= since:
                    if one.blind or place_of(piece.piece_id) < FITTED_OF_100:
                        found.append(one)
                    else:
                        not_taken[NOT_BLIND] += 1
        return found

    reader = SqliteReader(configuration.data_dir)
    try:
        found = reader.read(query)
    finally:
        reader.close()
    return Sources(
        pieces=tuple(
            BenignPiece(name=one.scan.piece_id, kind=one.kind, sha256=one.scan.sha256, load=_stored(images, one.scan)) for one in found
        ),
        told={
            "store": str(configuration.data_dir),
            "since": since.isoformat(),
            "read_blind": sum(one.blind for one in found),
            "not_taken": dict(sorted(not_taken.items())),
        },
        fitted_on=configuration.station.site,
    )


def _stored(images: FileImageStore, scan: Scan) -> Callable[[], ScanSource]:
    def load() -> ScanSource:
        try:
            return ScanSource(scan=images.scan(scan.sha256), tube_kv=scan.kv)
        except (NotFoundError, StoreError) as error:
            raise ScreeningError(error.what, consequence="the piece is left out", remedy=error.remedy) from error

    return load


def folder_pieces(folder: Path, palette: str, site: str) -> Sources:
    """Pictures of a folder, one a piece; of a folder in it, which holds one piece, the first by name.

    Raises:
        ConfigurationError: there is no such folder, or no picture in it.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"--benign {folder}: there is no such directory", remedy="Name a folder with pictures of benign pieces")
    chosen: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file():
            chosen.setdefault(path.relative_to(folder).parts[0], path)
    if not chosen:
        raise ConfigurationError(
            f"{folder} holds no picture", consequence="Nothing was fitted", remedy="Give a folder with .jpg or .png files of benign pieces"
        )
    pieces = tuple(
        BenignPiece(
            name=printable(name),
            kind=UNKNOWN_KIND,
            sha256=_file_sha256(path),
            load=_picture(path, palette),
        )
        for name, path in chosen.items()
    )
    return Sources(
        pieces=pieces,
        told={"folder": printable(str(folder.absolute())), "palette": palette, "not_taken": {}},
        fitted_on=f"pictures at {site}",
    )


def _file_sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        # it is named as left out when it is loaded
        return f"unreadable {path}"


def _picture(path: Path, palette: str) -> Callable[[], PictureSource]:
    return lambda: PictureSource(picture=on_grid(path, palette))
