"""A lane's recipe out of its file, checked where both are known: the disinfection part knows what is allowed, the file its lines."""

from dataclasses import fields

from station.disinfect.recipes import FOR_PEOPLE, TunnelRecipe, tunnel_recipe
from station.domain.errors import ConfigurationError
from station.settings import Recipe, read

KEYS = FOR_PEOPLE | {field.name for field in fields(TunnelRecipe)} - {"sha256"}


def lane_recipe(recipe: Recipe) -> TunnelRecipe:
    """What a recipe file says.

    Raises:
        ConfigurationError: a key is unknown or missing, or a value is not allowed; with file, line, key and what is allowed.
    """
    for key in recipe.values:
        if key not in KEYS:
            raise read(recipe.path).error((key,), "unknown key", ", ".join(sorted(KEYS)))
    try:
        return tunnel_recipe(recipe.values, sha256=recipe.sha256)
    except ConfigurationError as error:
        # "Recipe NAME: KEY is missing", "Recipe NAME: KEY = VALUE is not allowed"
        about = error.what.removeprefix(f"Recipe {recipe.values.get('name', '(unnamed)')}: ")
        key, _, problem = about.partition(" ")
        raise read(recipe.path).error((key,), problem.removeprefix("= "), error.remedy.removeprefix(f"{key} must be ")) from error
