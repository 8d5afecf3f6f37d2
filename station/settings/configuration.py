"""The whole configuration of a station: `station.toml` and every file that it names, in one frozen value."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any

import rfc8785

from station.domain.freeze import Checklist
from station.domain.identifiers import DEFAULT_SCHEMES, Scheme
from station.domain.policy import Policy
from station.settings.checklist import load_checklist
from station.settings.lane_file import LaneFile
from station.settings.policy_file import load_policy
from station.settings.station_file import LOOPBACK, Http, StationFile
from station.settings.toml_file import TomlFile, read
from station.settings.validation import validate


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A recipe file as it stands; the disinfection part understands its values. `sha256` is over their RFC 8785 form."""

    path: Path
    values: Mapping[str, object]
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneConfiguration:
    """One lane: its name, its devices and geometry, its recipe."""

    lane_id: str
    devices: LaneFile
    recipe: Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Everything that the station is told from outside. Paths are absolute; `policy_file` can tell where a policy key stands."""

    path: Path
    station: StationFile
    data_dir: Path
    signing_key_file: Path
    further_signing_key_files: tuple[Path, ...]
    secret_files: tuple[Path, ...]
    token_file: Path | None
    receiver_key_file: Path
    audit_key_file: Path
    image_key_dir: Path
    tls_certificate_file: Path | None
    tls_key_file: Path | None
    policy: Policy
    policy_file: TomlFile
    checklist: Checklist
    schemes: tuple[Scheme, ...]
    lanes: tuple[LaneConfiguration, ...]


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def load_recipe(path: Path) -> Recipe:
    """Read a recipe's values; raises `ConfigurationError` when the file is no TOML or has tables in it."""
    file = read(path)
    for key, value in file.values.items():
        if isinstance(value, dict | list):
            raise file.error((key,), "is a table or a list", "plain values only")
    members = {key: _plain(value) for key, value in file.values.items()}
    return Recipe(path=path, values=MappingProxyType(file.values), sha256=hashlib.sha256(rfc8785.dumps(members)).hexdigest())


def _refuse_open_network(http: Http, file: TomlFile) -> None:
    """Raise unless the console is served by TLS wherever more than this machine can hear it."""
    has = {"tls_certificate_file": http.tls_certificate_file is not None, "tls_key_file": http.tls_key_file is not None}
    if len(set(has.values())) != 1:
        missing, given = sorted(has, key=has.__getitem__)
        raise file.error(("http", given), f"stands without {missing}", f"both {given} and {missing}, or neither")
    if http.host not in LOOPBACK and not has["tls_key_file"]:
        allowed = f"{', '.join(sorted(LOOPBACK))}; any other address with tls_certificate_file and tls_key_file (`station config tls`)"
        raise file.error(("http", "host"), f"{http.host!r} is not allowed without TLS", allowed)


def load(path: Path, *, demo: bool = False) -> Configuration:
    """Load and check everything. Files are looked for beside the one that names them.

    Args:
        path: `station.toml`.
        demo: the demo alone may waive the proof of a model (`unproved_model`).

    Raises:
        ConfigurationError: with file, line, key and what is allowed.
    """
    path = path.absolute()
    file = read(path)
    station = validate(StationFile, file)
    beside = path.parent
    _refuse_open_network(station.http, file)
    lanes: list[LaneConfiguration] = []
    for index, lane in enumerate(station.lanes):
        if any(other.lane_id == lane.id for other in lanes):
            raise file.error(("lanes", index, "id"), f"{lane.id!r} stands twice", "an id of its own for each lane")
        devices = validate(LaneFile, read(beside / lane.devices))
        lanes.append(LaneConfiguration(lane_id=lane.id, devices=devices, recipe=load_recipe(beside / lane.recipe)))
    image_key_dir = beside / station.vault.key_dir
    if image_key_dir.resolve().is_relative_to((beside / station.data_dir).resolve()):
        raise file.error(
            ("vault", "key_dir"), "lies inside data_dir: whoever had a backup could read images that were destroyed", "a directory outside"
        )
    extra = tuple(Scheme(name=scheme.name, pattern=scheme.pattern, check=scheme.check) for scheme in station.schemes)
    return Configuration(
        path=path,
        station=station,
        data_dir=beside / station.data_dir,
        signing_key_file=beside / station.tracking.signing_key_file,
        further_signing_key_files=tuple(beside / path for path in station.tracking.further_signing_key_files),
        secret_files=tuple(beside / path for path in station.tracking.secret_files),
        token_file=None if station.tracking.token_file is None else beside / station.tracking.token_file,
        receiver_key_file=beside / station.tracking.receiver_key_file,
        audit_key_file=beside / station.audit.signing_key_file,
        image_key_dir=image_key_dir,
        tls_certificate_file=beside / station.http.tls_certificate_file if station.http.tls_certificate_file else None,
        tls_key_file=beside / station.http.tls_key_file if station.http.tls_key_file else None,
        policy=load_policy(beside / station.policy, demo=demo),
        policy_file=read(beside / station.policy),
        checklist=load_checklist(beside / station.checklist),
        schemes=(*DEFAULT_SCHEMES, *extra),
        lanes=tuple(lanes),
    )
