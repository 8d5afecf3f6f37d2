"""From TOML values to frozen models, with errors that name file and line, or the variable, the key and what is allowed."""

import contextlib
import os
import types
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_settings import BaseSettings, SettingsError

from station.domain.errors import ConfigurationError
from station.masking import mask
from station.settings.toml_file import KeyPath, TomlFile

M = TypeVar("M", bound=BaseModel)


def validate(model: type[M], file: TomlFile) -> M:
    """Validate a whole file, and what the environment adds to it, against its model.

    Raises:
        ConfigurationError: every wrong key in one message, the first in front.
    """
    try:
        return model(**file.values)
    except SettingsError as error:
        raise ConfigurationError(
            f"In the environment: {error}",
            consequence="The configuration is not used",
            remedy="Allowed: JSON, where a variable holds a table or a list; or leave the variable out",
        ) from None
    except ValidationError as error:
        problems = [_explain(model, file, one["loc"], one["type"], one["msg"], one["input"], one.get("ctx", {})) for one in error.errors()]
    problems.sort(key=lambda problem: problem[0])
    raise ConfigurationError(
        "; ".join(str(problem[1].what) for problem in problems),
        consequence="The configuration is not used",
        remedy="; ".join(dict.fromkeys(problem[1].remedy for problem in problems)),
    )


def _explain(
    model: type[BaseModel], file: TomlFile, key: KeyPath, kind: str, message: str, value: object, context: dict[str, Any]
) -> tuple[int, ConfigurationError]:
    """The line of a wrong key, 0 for one of the environment, and what to say of it."""
    if kind == "extra_forbidden":
        around = _model_at(model, key[:-1])
        problem, allowed = "unknown key", ", ".join(sorted(_names(around))) if around else "no such key"
    elif kind == "missing":
        problem, allowed = "is missing", message
    else:
        problem = f"{_shown(value)} is not allowed"
        allowed = str(context["expected"]) if "expected" in context else message.removeprefix("Value error, ")
    variable = _variable(model, file.values, key)
    if variable is None:
        return file.line_of(key), file.error(key, problem, allowed)
    what = f"{variable} in the environment: {'.'.join(map(str, key))}: {problem}"
    return 0, ConfigurationError(what, consequence="The configuration is not used", remedy=f"Allowed: {allowed}")


def _variable(model: type[BaseModel], values: dict[str, Any], key: KeyPath) -> str | None:
    """The environment variable that gave what stands at a key; None when the file did, or nothing."""
    if not issubclass(model, BaseSettings) or _value_at(values, key) is not None:
        return None
    present = {name.upper(): name for name in os.environ}
    prefix, delimiter = str(model.model_config.get("env_prefix")), str(model.model_config.get("env_nested_delimiter"))
    for length in range(len(key), 0, -1):
        # The environment adds to a table of the file; anything else in the file goes before it.
        if not isinstance(_value_at(values, key[:length]), dict | None):
            return None
        name = present.get(f"{prefix}{delimiter.join(map(str, key[:length]))}".upper())
        if name is not None:
            return name
    return None


def _shown(value: object) -> str:
    """A wrong value: no secret, and no table, which may hold some and says nothing of what is wrong in it."""
    if isinstance(value, dict):
        return "this table"
    if isinstance(value, list | tuple) and any(isinstance(one, dict) for one in value):
        return "this list of tables"
    return mask(repr(value))


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
    """What a file holds there; None when it holds nothing."""
    with contextlib.suppress(KeyError, IndexError, TypeError):
        for part in key:
            values = values[part]
        return values
    return None
