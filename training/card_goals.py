"""What a model must reach to be worth a screener's trust, beside what was measured."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from firmware_sims.mail_catalogue import CLASSES
from station.screening.baselines import DARKNESS, P
from station.screening.evaluation_lines import figure
from training.mail_report import EVERYTHING
from training.unseen_mail import FLAT, PARCELS

Figure = Mapping[str, Any] | None
ByClass = Callable[[Mapping[str, Any]], Sequence[tuple[str, Figure]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One thing to reach: where its figure stands in the measured files, and the bound.

    `at_most` turns it round; `surely` wants the whole interval above the bound, not the measurement alone. A goal about every class of the
    library says with `classes` where the figure of each stands.
    """

    title: str
    of: Callable[[Mapping[str, Any]], Figure]
    bound: float
    at_most: bool = False
    surely: bool = False
    classes: ByClass | None = None

    def met(self, found: Mapping[str, Any]) -> bool | None:
        """None when it was not measured; missed by one class it is missed, but met only when every class was measured."""
        value = self.of(found)
        if value is None or value["mean"] is None:
            return None
        if not self._reached(value):
            return False
        return True if self._classes_measured(found) == len(CLASSES) else None

    def _reached(self, value: Mapping[str, Any]) -> bool:
        if self.surely:
            return float(value["lo"]) > self.bound
        mean = float(value["mean"])
        return mean <= self.bound if self.at_most else mean >= self.bound

    def _classes_measured(self, found: Mapping[str, Any]) -> int:
        if self.classes is None:
            return len(CLASSES)
        return len({name for name, _ in _measured(self.classes(found))} & set(CLASSES))

    def said(self, found: Mapping[str, Any]) -> str:
        """The figure in words; where classes are missing, of how many it is."""
        count = self._classes_measured(found)
        missing = "" if count == len(CLASSES) else f", {count} of {len(CLASSES)} measured"
        return figure(self.of(found)) + missing

    @property
    def wanted(self) -> str:
        """The bound in words."""
        sign = "≤" if self.at_most else "interval >" if self.surely else "≥"
        return f"{sign} {self.bound:g}"


def _at(*path: str) -> Callable[[Mapping[str, Any]], Figure]:
    def get(found: Mapping[str, Any]) -> Figure:
        place: Any = found
        for key in path:
            if key not in place:
                return None
            place = place[key]
        return place if isinstance(place, Mapping) else None

    return get


def _found_of_class(found: Mapping[str, Any]) -> Sequence[tuple[str, Figure]]:
    return [(name, row["tpr_within_kind"]) for name, row in found["mail"]["by_class"].items()]


def _told_of_left_out(found: Mapping[str, Any]) -> Sequence[tuple[str, Figure]]:
    return [(row["left_out"], row["auroc_within_kind"]) for row in found["left_out"]]


def _measured(rows: Sequence[tuple[str, Figure]]) -> list[tuple[str, Mapping[str, Any]]]:
    return [(name, row) for name, row in rows if row is not None and row["mean"] is not None]


def _lowest(classes: ByClass) -> Callable[[Mapping[str, Any]], Figure]:
    """The figure of the class that has the lowest."""
    return lambda found: min((row for _, row in _measured(classes(found))), key=lambda row: float(row["mean"]), default=None)


GOALS: Sequence[Goal] = (
    Goal(title="mail, envelopes and packets: AUROC", of=_at("mail", "groups", FLAT, "auroc_within_kind"), bound=0.99),
    Goal(title="mail, envelopes and packets: found at 5 %", of=_at("mail", "groups", FLAT, "tpr_within_kind"), bound=0.95),
    Goal(title="mail, parcels: AUROC", of=_at("mail", "groups", PARCELS, "auroc_within_kind"), bound=0.95),
    Goal(title="mail, parcels: found at 5 %", of=_at("mail", "groups", PARCELS, "tpr_within_kind"), bound=0.85),
    Goal(title="mail, the class found least: at 5 %", of=_lowest(_found_of_class), bound=0.75, classes=_found_of_class),
    Goal(
        title="mail, the class told least without training on it: AUROC",
        of=_lowest(_told_of_left_out),
        bound=0.90,
        classes=_told_of_left_out,
    ),
    Goal(
        title="mail: AUROC of darkness",
        of=_at("mail", "groups", EVERYTHING, "baselines", DARKNESS, "auroc_within_kind"),
        bound=0.85,
        at_most=True,
    ),
    Goal(title="pairs: AUROC", of=_at("pairs", "auroc"), bound=0.86),
    Goal(
        title="pairs: AUROC above darkness by", of=_at("pairs", "baselines", DARKNESS, "model_better_by", "auroc"), bound=0.0, surely=True
    ),
    Goal(title="pairs: found at 5 %, above darkness by", of=_at("pairs", "baselines", DARKNESS, "model_better_by", "tpr"), bound=0.0),
    Goal(title="boxed: patch AUROC", of=_at("pictures", "patch_auroc"), bound=0.87),
    Goal(title="boxed: pointing", of=_at("pictures", "pointing"), bound=0.74),
    Goal(title="boxed: patch AUROC above P by", of=_at("pictures", "baselines", P, "model_better_by"), bound=0.0, surely=True),
)


def goals_table(found: Mapping[str, Any]) -> list[str]:
    """The goals as a Markdown table, with the coverage of the thresholds."""
    said = {True: "yes", False: "**no**", None: "not measured"}
    lines = ["## Goals", "", "| goal | wanted | measured | met |", "|---|---|---|---|"]
    lines += [f"| {goal.title} | {goal.wanted} | {goal.said(found)} | {said[goal.met(found)]} |" for goal in GOALS]
    holds = found["coverage"]["holds"] if "coverage" in found else None
    return [*lines, f"| coverage: false alarms as promised on unseen mail | every kind and alpha | | {said[holds]} |", ""]
