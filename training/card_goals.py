"""What a model must reach to be worth a screener's trust, beside what was measured."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from station.screening.baselines import DARKNESS, P
from station.screening.evaluation_lines import figure
from training.mail_report import EVERYTHING
from training.unseen_mail import FLAT, PARCELS

Figure = Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One thing to reach: where its figure stands in the measured files, and the bound.

    `at_most` turns it round; `surely` wants the whole interval above the bound, not the measurement alone.
    """

    title: str
    of: Callable[[Mapping[str, Any]], Figure]
    bound: float
    at_most: bool = False
    surely: bool = False

    def met(self, found: Figure) -> bool | None:
        """None when it was not measured."""
        if found is None or found["mean"] is None:
            return None
        if self.surely:
            return float(found["lo"]) > self.bound
        mean = float(found["mean"])
        return mean <= self.bound if self.at_most else mean >= self.bound

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


def _lowest_class(found: Mapping[str, Any]) -> Figure:
    """The class of which the least is found."""
    rows = [row["tpr_within_kind"] for row in found["mail"]["by_class"].values() if row["tpr_within_kind"]["mean"] is not None]
    return min(rows, key=lambda row: float(row["mean"]), default=None)


def _lowest_left_out(found: Mapping[str, Any]) -> Figure:
    rows = [row["auroc_within_kind"] for row in found["left_out"]]
    return min(rows, key=lambda row: float(row["mean"]), default=None)


GOALS: Sequence[Goal] = (
    Goal(title="mail, envelopes and packets: AUROC", of=_at("mail", "groups", FLAT, "auroc_within_kind"), bound=0.99),
    Goal(title="mail, envelopes and packets: found at 5 %", of=_at("mail", "groups", FLAT, "tpr_within_kind"), bound=0.95),
    Goal(title="mail, parcels: AUROC", of=_at("mail", "groups", PARCELS, "auroc_within_kind"), bound=0.95),
    Goal(title="mail, parcels: found at 5 %", of=_at("mail", "groups", PARCELS, "tpr_within_kind"), bound=0.85),
    Goal(title="mail, the class found least: at 5 %", of=_lowest_class, bound=0.75),
    Goal(title="mail, the class told least without training on it: AUROC", of=_lowest_left_out, bound=0.90),
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
    for goal in GOALS:
        value = goal.of(found)
        lines.append(f"| {goal.title} | {goal.wanted} | {figure(value)} | {said[goal.met(value)]} |")
    holds = found["coverage"]["holds"] if "coverage" in found else None
    return [*lines, f"| coverage: false alarms as promised on unseen mail | every kind and alpha | | {said[holds]} |", ""]
