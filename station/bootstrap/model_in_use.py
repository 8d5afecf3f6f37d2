"""Which model is in use: the delivered one, or the one that a supervisor signed off last."""

from dataclasses import dataclass
from pathlib import Path

from station.domain.model_use import DELIVERED, MODEL_SUBJECT, ModelInUse, in_use
from station.ports.store import ReadView
from station.settings import Configuration
from station.storage.store import DATABASE_NAME, SqliteReader

SHIPPED_MODEL = Path(__file__).parents[1] / "screening" / "models"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPlace:
    """Where a model lies and what proves it; see `manifest.load_model`."""

    folder: Path
    trusted_keys: tuple[str, ...] = ()
    manifest_sha256: str = ""


def models_directory(configuration: Configuration) -> Path:
    """Where candidates and signed-off models lie."""
    return configuration.data_dir / "models"


def facts_of(view: ReadView) -> list[ModelInUse]:
    """Every sign-off and roll-back, in order."""
    return [row.evidence for row in view.evidence(MODEL_SUBJECT) if isinstance(row.evidence, ModelInUse)]


def model_facts(configuration: Configuration) -> list[ModelInUse]:
    """The same, read beside a running station; none where no station ever ran. Raises `StoreError` for a database that cannot be read."""
    if not (configuration.data_dir / DATABASE_NAME).is_file():
        return []
    reader = SqliteReader(configuration.data_dir)
    try:
        return reader.read(facts_of)
    finally:
        reader.close()


def delivered_place(configuration: Configuration | None) -> ModelPlace:
    """The model as it was delivered; the shipped one where the configuration names none."""
    if configuration is None or not configuration.station.screening.model:
        return ModelPlace(folder=SHIPPED_MODEL)
    screening = configuration.station.screening
    return ModelPlace(folder=configuration.path.parent / screening.model, trusted_keys=screening.trusted_keys)


def place_of(configuration: Configuration, fact: ModelInUse | None) -> ModelPlace:
    """The model that a fact put into use; None: the delivered one."""
    if fact is None or fact.folder == DELIVERED:
        return delivered_place(configuration)
    # the key and the hash stand in the audit log, so that neither comes from the folder that they are to prove
    return ModelPlace(folder=models_directory(configuration) / fact.folder, trusted_keys=(fact.key,), manifest_sha256=fact.manifest_sha256)


def model_place(configuration: Configuration) -> ModelPlace:
    """The model in use. Raises `StoreError` when the record of sign-offs cannot be read."""
    return place_of(configuration, in_use(model_facts(configuration)))
