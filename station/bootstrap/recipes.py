"""A lane's recipe out of its file, checked where both are known: the disinfection part knows what is allowed, the file its lines."""

from station.disinfect.recipes import RecipeError, TunnelRecipe, tunnel_recipe
from station.settings import Recipe, read


def lane_recipe(recipe: Recipe) -> TunnelRecipe:
    """What a recipe file says.

    Raises:
        ConfigurationError: a key is unknown or missing, or a value is not allowed; with file, line, key and what is allowed.
    """
    try:
        return tunnel_recipe(recipe.values, sha256=recipe.sha256)
    except RecipeError as error:
        raise read(recipe.path).error((error.key,), error.problem, error.allowed) from error
