"""Sign-off of a site's own models: into effect by a supervisor's name, back in one step, all of it in the audit log."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from station.bootstrap.model_in_use import facts_of, model_facts, models_directory, place_of
from station.bootstrap.stores import open_store
from station.domain.errors import ConflictError, RefusedError
from station.domain.model_use import DELIVERED, MODEL_SUBJECT, ModelInUse, before, in_use
from station.ports.store import UnitOfWork
from station.screening.manifest import MANIFEST_FILE, SIGNATURE_FILE, load_model
from station.screening.site_candidate import UNFINISHED, read_candidate, sign
from station.screening.site_judgement import objections
from station.settings import Configuration
from station.storage.store import SqliteStore
from station.tracking.signatures import load_or_create_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A folder of `models`, whether somebody signed it, and whether it is in use."""

    name: str
    signed: bool
    used: bool


def adopt(configuration: Configuration, name: str, *, person: str, note: str, at: datetime) -> ModelInUse:
    """Sign a candidate with the station's key and take it into effect from the next start on; the station must not run meanwhile.

    Raises:
        RefusedError: no name of a person, a file that changed since the report, or a candidate that was not shown to be good enough.
        NotFoundError: there is no such candidate.
        ConflictError: it is in use already.
        StoreError: a station works on the data, or the fact could not be made durable.
    """
    _named(person)
    store = open_store(configuration)
    try:
        candidate = read_candidate(models_directory(configuration), name)
        if against := objections(candidate.report["measured"]):
            raise RefusedError(
                f"Candidate {name} was not shown to be as good as the model in use: {'; '.join(against)}",
                consequence="It does not take effect",
                remedy="Collect more benign pieces and fit again; the model in use stays",
            )
        used = store.read(lambda view: in_use(facts_of(view)))
        if used is not None and used.folder == name:
            raise ConflictError(f"{name} is in use already", consequence="Nothing was changed")
        _refuse_other_rival(candidate.report, configuration, used)
        key_file = configuration.path.parent / configuration.station.screening.signing_key_file
        key_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        public = sign(candidate, load_or_create_key(key_file))
        return _write(
            store,
            person=person,
            note=note,
            at=at,
            folder=name,
            manifest_sha256=candidate.manifest_sha256,
            model_sha256=candidate.manifest.model_sha256,
            calibration_sha256=candidate.manifest.calibration_sha256,
            key=public,
            rolled_back=False,
        )
    finally:
        store.close()


def roll_back(configuration: Configuration, *, person: str, note: str, at: datetime) -> ModelInUse:
    """Return to the model that was in use before; the station must not run meanwhile.

    Raises:
        RefusedError: no name of a person.
        ConflictError: the delivered model is in use.
        ScreeningError: the model before is no longer what was signed off.
        StoreError: as `adopt`.
    """
    _named(person)
    store = open_store(configuration)
    try:
        try:
            target = before(store.read(facts_of))
        except ValueError as error:
            raise ConflictError("The delivered model is in use; there is none before it", consequence="Nothing was changed") from error
        place = place_of(configuration, target)
        manifest, _ = load_model(place.folder, trusted_keys=place.trusted_keys, manifest_sha256=place.manifest_sha256)
        return _write(
            store,
            person=person,
            note=note,
            at=at,
            folder=target.folder if target else DELIVERED,
            manifest_sha256=place.manifest_sha256,
            model_sha256=manifest.model_sha256,
            calibration_sha256=manifest.calibration_sha256,
            key=target.key if target else "",
            rolled_back=True,
        )
    finally:
        store.close()


def listed(configuration: Configuration) -> tuple[list[Listed], list[ModelInUse]]:
    """Every candidate and signed-off model, and every change of the model in use; read beside a running station."""
    facts = model_facts(configuration)
    used = in_use(facts)
    root = models_directory(configuration)
    folders = sorted(path.parent for path in root.glob(f"*/{MANIFEST_FILE}") if not path.parent.name.startswith(UNFINISHED))
    return [_listed(folder, used) for folder in folders], facts


def _listed(folder: Path, used: ModelInUse | None) -> Listed:
    return Listed(name=folder.name, signed=(folder / SIGNATURE_FILE).exists(), used=used is not None and used.folder == folder.name)


def _named(person: str) -> None:
    if not person.strip():
        raise RefusedError("Nobody took the responsibility", consequence="The model in use stays", remedy="Name the supervisor")


def _refuse_other_rival(report: Any, configuration: Configuration, used: ModelInUse | None) -> None:
    """A candidate counts against the model that it was measured beside."""
    if used is not None and used.folder != DELIVERED:
        rival = used.model_sha256
    else:
        place = place_of(configuration, used)
        rival = load_model(place.folder, trusted_keys=place.trusted_keys)[0].model_sha256
    if report["models"]["in_use"] != rival:
        raise RefusedError(
            "The candidate was measured beside another model than the one in use now",
            consequence="It does not take effect",
            remedy="Fit again",
        )


def _write(store: SqliteStore, **members: Any) -> ModelInUse:
    def work(uow: UnitOfWork) -> ModelInUse:
        person = members["person"].strip()
        fact = ModelInUse(piece_id=MODEL_SUBJECT, visit=uow.next_number("model.in-use"), **{**members, "person": person})
        uow.append(fact)
        return fact

    return store.write(work).result()
