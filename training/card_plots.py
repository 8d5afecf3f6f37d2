"""Pictures of the model card: small, few colours, the same bytes for the same figures."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from PIL import Image

from station.screening.baselines import DARKNESS, P
from station.screening.picture_scores import MODEL
from station.screening.resampling import FALSE_ALARMS

mpl.rcParams.update({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False})

COLOURS = {MODEL: "#1f4e9c", DARKNESS: "#555555", P: "#c2671b"}
DPI = 90
SHADES = 48
"""Colours that are kept of a picture; more would not be seen."""


def packed(figure: Figure) -> bytes:
    """The figure as a small PNG."""
    raw = io.BytesIO()
    figure.savefig(raw, format="png", dpi=DPI, metadata={"Software": None})
    small = io.BytesIO()
    with Image.open(raw) as image:
        image.convert("RGB").quantize(SHADES).save(small, format="PNG", optimize=True)
    return small.getvalue()


def roc(mail: Mapping[str, Any]) -> bytes:
    """A panel for each group of kinds; false alarms on a logarithmic scale, because few are allowed."""
    curves = mail["curves"]
    figure = Figure(figsize=(2.7 * len(curves), 2.6), layout="constrained")
    for index, (name, scorers) in enumerate(curves.items(), start=1):
        axes = figure.add_subplot(1, len(curves), index)
        for scorer, line in scorers.items():
            axes.plot(line["false_alarms"], line["found"], color=COLOURS[scorer], label=scorer, linewidth=1.4)
        axes.axvline(FALSE_ALARMS, color="#bbbbbb", linewidth=0.8, linestyle=":")
        axes.set(xscale="log", xlim=(1e-3, 1), ylim=(0, 1.02), title=name, xlabel="benign alarmed")
        if index == 1:
            axes.set_ylabel("threats found")
            axes.legend(frameon=False, loc="lower right")
    return packed(figure)


def classes(point: Mapping[str, Any]) -> bytes:
    """Share of each class that the model's own thresholds alarm on, thin mail and parcels apart, with intervals."""
    groups = {name: {key: row for key, row in part.items() if key} for name, part in point["by_group_and_class"].items()}
    names = sorted({name for part in groups.values() for name in part})
    figure = Figure(figsize=(6.4, 0.9 + 0.34 * len(names)), layout="constrained")
    axes = figure.add_subplot()
    for shift, (group, part), colour in zip((-0.18, 0.18), groups.items(), (COLOURS[MODEL], COLOURS[P]), strict=False):
        rows = [(place + shift, part[name]["alarmed"]) for place, name in enumerate(names) if name in part]
        middle = [row["mean"] for _, row in rows]
        reach = [[row["mean"] - row["lo"] for _, row in rows], [row["hi"] - row["mean"] for _, row in rows]]
        places = [place for place, _ in rows]
        axes.barh(places, middle, height=0.32, xerr=reach, color=colour, label=group, error_kw={"elinewidth": 0.8})
    axes.axvline(0.75, color="#bbbbbb", linewidth=0.8, linestyle=":")
    axes.set(yticks=range(len(names)), yticklabels=names, xlim=(0, 1), xlabel=f"threats alarmed (alpha {point['alpha']:g})")
    axes.invert_yaxis()
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    return packed(figure)


def coverage(found: Mapping[str, Any]) -> bytes:
    """Share of unseen benign pieces held by the thresholds as they are, and the interval in which it must lie."""
    rows = found["as_shipped"]
    alphas = sorted({row["alpha"] for row in rows})
    figure = Figure(figsize=(2.5 * len(alphas), 2.3), layout="constrained")
    for index, alpha in enumerate(alphas, start=1):
        axes = figure.add_subplot(1, len(alphas), index)
        part = [row for row in rows if row["alpha"] == alpha]
        for place, row in enumerate(part):
            low, high = row["low"] / row["m"], row["high"] / row["m"]
            axes.plot([low, high], [place, place], color="#bbbbbb", linewidth=6, solid_capstyle="butt")
            axes.plot([row["held_share"]], [place], marker="o", markersize=4, color="#c01818" if row["broken"] else COLOURS[MODEL])
        axes.axvline(alpha, color="#888888", linewidth=0.8, linestyle=":")
        named = [row["kind"] for row in part] if index == 1 else []
        axes.set(title=f"alpha {alpha:g}", yticks=range(len(part)) if named else [], yticklabels=named, ylim=(-0.6, len(part) - 0.4))
        axes.set(xlim=(0, None), xlabel="benign held")
    return packed(figure)


def failures(pictures: Sequence[tuple[str, Any]], *, across: int = 4) -> bytes:
    """Pictures in pseudo-colour (RGB arrays) with a caption each."""
    down = -(-len(pictures) // across)
    figure = Figure(figsize=(1.75 * across, 1.95 * down), layout="constrained")
    for index, (caption, image) in enumerate(pictures, start=1):
        axes = figure.add_subplot(down, across, index)
        axes.imshow(image, interpolation="antialiased")
        axes.set_title(caption, fontsize=6)
        axes.set_axis_off()
    return packed(figure)
