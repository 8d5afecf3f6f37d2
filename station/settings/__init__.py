"""Settings: TOML files, validated once, frozen, and refused with file, line, key and what is allowed."""

from station.settings.checklist import load_checklist
from station.settings.configuration import Configuration, LaneConfiguration, Recipe, load
from station.settings.policy_file import load_policy, refuse_unproved_model, with_freeze_score
from station.settings.shipped import SHIPPED_DIRECTORY, shipped_files, write_shipped
from station.settings.station_file import SITE_PATTERN
from station.settings.toml_file import TomlFile, edit, read

__all__ = [
    "SHIPPED_DIRECTORY",
    "SITE_PATTERN",
    "Configuration",
    "LaneConfiguration",
    "Recipe",
    "TomlFile",
    "edit",
    "load",
    "load_checklist",
    "load_policy",
    "read",
    "refuse_unproved_model",
    "shipped_files",
    "with_freeze_score",
    "write_shipped",
]
