"""Sign-off of a site's own models: into effect by a supervisor's name, back in one step, all of it in the audit log."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from station.bootstrap.model_in_use import ModelPlace, facts_of, model_facts, models_directory, place_of, reader_at
from station.bootstrap.stores import open_store
from station.domain.errors import ConflictError, RefusedError, ScreeningError
from station.domain.model_use import DELIVERED, MODEL_SUBJECT, ModelInUse, earlier, in_use
from station.domain.people import responsible
from station.ports.store import UnitOfWork
from station.screening.manifest import MANIFEST_FILE
from station.screening.site_candidate import UNFINISHED, Candidate, read_candidate, sign
from station.screening.site_judgement import objections
from station.settings import Configuration, refuse_unproved_model
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
        RefusedError: no name of a person, a file that changed since the report, a candidate of another site, or one that was not shown to
            be good enough.
        NotFoundError: there is no such candidate.
        ConflictError: it is in use already.
        ScreeningError, ConfigurationError: the station would not start with it.
        StoreError: a station works on the data, or the fact could not be made durable.
    """
    person, note = responsible(person, note)
    store = open_store(configuration)
    try:
        candidate = read_candidate(models_directory(configuration), name)
        used = store.read(lambda view: in_use(facts_of(view)))
        if used is not None and used.folder == name:
            raise ConflictError(f"{name} is in use already", consequence="Nothing was changed")
        _refuse_unfit(candidate, configuration, used)
        key_file = configuration.path.parent / configuration.station.screening.signing_key_file
        public = sign(candidate, load_or_create_key(key_file))
        # as the station will: what it would refuse must not become the model in use
        place = ModelPlace(folder=candidate.folder, trusted_keys=(public,), manifest_sha256=candidate.manifest_sha256)
        info = reader_at(configuration, place).info()
        refuse_unproved_model(configuration.policy, configuration.policy_file, proved=info.proved, why_not=info.why_not_proved)
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


def roll_back(configuration: Configuration, *, person: str, note: str, at: datetime) -> tuple[ModelInUse, list[str]]:
    """Return to the model that was in use before; the station must not run meanwhile.

    One that is no longer what was signed off is passed over for the one before it, so that a lost folder does not bar the way back.
    Returns the fact, and why which were passed over.

    Raises:
        RefusedError: no name of a person.
        ConflictError: the delivered model is in use.
        ScreeningError: none of the models before can be loaded.
        StoreError: as `adopt`.
    """
    person, note = responsible(person, note)
    store = open_store(configuration)
    passed_over: list[str] = []
    try:
        targets = earlier(store.read(facts_of))
        if not targets:
            raise ConflictError("The delivered model is in use; there is none before it", consequence="Nothing was changed")
        for target in targets:
            place = place_of(configuration, target)
            try:
                info = reader_at(configuration, place).info()
            except ScreeningError as error:
                if target is None:
                    raise
                passed_over.append(f"{target.folder}: {error.what}")
                continue
            break
        fact = _write(
            store,
            person=person,
            note=note,
            at=at,
            folder=target.folder if target else DELIVERED,
            manifest_sha256=place.manifest_sha256,
            model_sha256=info.sha256,
            calibration_sha256=info.calibration_sha256,
            key=target.key if target else "",
            rolled_back=True,
        )
        return fact, passed_over
    finally:
        store.close()


def listed(configuration: Configuration) -> tuple[list[Listed], list[ModelInUse]]:
    """Every candidate and signed-off model, and every change of the model in use; read beside a running station."""
    facts = model_facts(configuration)
    used = in_use(facts)
    # a signature in a folder that no fact tells of is none: somebody may have laid it there, or was killed before the fact was written
    signed = {fact.folder for fact in facts}
    root = models_directory(configuration)
    names = sorted(path.parent.name for path in root.glob(f"*/{MANIFEST_FILE}") if not path.parent.name.startswith(UNFINISHED))
    return [Listed(name=name, signed=name in signed, used=used is not None and used.folder == name) for name in names], facts


def _refuse_unfit(candidate: Candidate, configuration: Configuration, used: ModelInUse | None) -> None:
    """Refuse a candidate of another site, one that was measured beside another model than the one in use, and one that may be worse."""
    report, site = candidate.report, configuration.station.site
    try:
        fitted_at, rival, against = report["site"], report["models"]["in_use"], objections(report["measured"])
    except (KeyError, TypeError, AttributeError) as error:
        raise RefusedError(
            f"The report of {candidate.name} lacks what a sign-off stands on ({type(error).__name__}: {error})",
            consequence="It does not take effect",
            remedy="Fit again",
        ) from error
    if fitted_at != site:
        raise RefusedError(
            f"Candidate {candidate.name} was fitted at {fitted_at}, and this is {site}",
            consequence="It does not take effect: its thresholds are those of other pieces and another scanner",
            remedy="Fit on this site's own pieces",
        )
    if rival != reader_at(configuration, place_of(configuration, used)).info().sha256:
        raise RefusedError(
            "The candidate was measured beside another model than the one in use now",
            consequence="It does not take effect",
            remedy="Fit again",
        )
    if against:
        raise RefusedError(
            f"Candidate {candidate.name} was not shown to be as good as the model in use: {'; '.join(against)}",
            consequence="It does not take effect",
            remedy="Collect more benign pieces and fit again; the model in use stays",
        )


def _write(store: SqliteStore, **members: Any) -> ModelInUse:
    def work(uow: UnitOfWork) -> ModelInUse:
        fact = ModelInUse(piece_id=MODEL_SUBJECT, visit=uow.next_number("model.in-use"), **members)
        uow.append(fact)
        return fact

    return store.write(work).result()
