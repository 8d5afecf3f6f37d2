"""Threat image projection: one thing of the shipped library, multiplied into a raw scan (docs/reference/threat-projection.md)."""

from station.screening.projection.library import Library, Thing, load_library, shipped_library
from station.screening.projection.place import Choice, Pose, choose
from station.screening.projection.project import Projection, project

__all__ = ["Choice", "Library", "Pose", "Projection", "Thing", "choose", "load_library", "project", "shipped_library"]
