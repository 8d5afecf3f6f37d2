"""From TOML values to frozen models, with errors that name file, line, key and what is allowed."""

import contextlib
import types
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from station.domain.errors import ConfigurationError
from station.settings.toml_file import KeyPath, TomlFile

M = TypeVar("M", bound=BaseModel)


def validate(model: type[M], file: TomlFile) -> M:
    """Validate a whole file against its model.

    Raises:
        ConfigurationError: every wrong key in one message, the first in front.
    """
    try:
        return model(**file.values)
    except ValidationError as error:
        problems = [_explain(model, file, one["loc"], one["type"], one["msg"], one.get("ctx", {})) for one in error.errors()]
    problems.sort(key=lambda problem: problem[0])
    raise ConfigurationError(
        "; ".join(str(problem[1].what) for problem in problems),
        consequence="The configuration is not used",
        remedy="; ".join(dict.fromkeys(problem[1].remedy for problem in problems)),
    )


def _explain(
    model: type[BaseModel], file: TomlFile, loc: tuple[int | str, ...], kind: str, message: str, context: dict[str, Any]
) -> tuple[int, ConfigurationError]:
    key: KeyPath = loc
    if kind == "extra_forbidden":
        around = _model_at(model, key[:-1])
        allowed = ", ".join(sorted(_names(around))) if around else "no such key"
        error = file.error(key, "unknown key", allowed)
    elif kind == "missing":
        error = file.error(key, "is missing", message)
    else:
        allowed = str(context["expected"]) if "expected" in context else message.removeprefix("Value error, ")
        error = file.error(key, f"{_value_at(file.values, key)!r} is not allowed", allowed)
    return file.line_of(key), error


def _names(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _inner_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (Union, types.UnionType, tuple, list):
        return next((found for one in get_args(annotation) if (found := _inner_model(one)) is not None), None)
    return None


def _model_at(model: type[BaseModel] | None, key: KeyPath) -> type[BaseModel] | None:
    for part in key:
        if model is None or isinstance(part, int):
            continue
        field = next((field for name, field in model.model_fields.items() if part in (name, field.alias)), None)
        model = _inner_model(field.annotation) if field else None
    return model


def _value_at(values: Any, key: KeyPath) -> Any:
    # A validator of a whole table reports a place that no single value has: then the nearest table is shown.
    with contextlib.suppress(KeyError, IndexError, TypeError):
        for part in key:
            values = values[part]
    return values
