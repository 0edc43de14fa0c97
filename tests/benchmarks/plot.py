"""The plot of the CPU time of each operation, as ratios to the floor."""

from pathlib import Path
from textwrap import fill

import matplotlib

from tests.benchmarks.processes import ROOT
from tests.benchmarks.report import LABELS
from tests.benchmarks.run import Results
from tests.benchmarks.servers import FLOOR
from tests.benchmarks.spread import Spread

PLOT = ROOT / "docs/performance.svg"
COLOURS = {"by-the-book": "#b8b8b8", "beanie": "#8fa8c8", "models-only": "#c8b48f"}
OWN_COLOUR = "#2f7d4f"
GROUP_WIDTH = 0.8
LABEL_WIDTH = 14


def draw(results: Results, path: Path = PLOT) -> None:
    """Draw a bar for each operation and variant, with a line from the smallest to the largest."""
    matplotlib.use("svg")
    matplotlib.rcParams |= {"svg.hashsalt": "benchmarks", "font.size": 9}
    from matplotlib import pyplot  # Only now, because it needs to know what to draw with.

    figure, axes = pyplot.subplots(figsize=(10, 4.5), layout="constrained")
    samples = results.samples["cpu_us"]
    variants = [name for name in results.variants if name != FLOOR]
    width = GROUP_WIDTH / len(variants)
    for number, name in enumerate(variants):
        spreads = [Spread.of_ratios(values[name], values[FLOOR]) for values in samples.values()]
        medians = [spread.median for spread in spreads]
        errors = [
            [spread.median - spread.low for spread in spreads],
            [spread.high - spread.median for spread in spreads],
        ]
        places = [n + (number + 0.5) * width - GROUP_WIDTH / 2 for n in range(len(spreads))]
        colour = COLOURS.get(name, OWN_COLOUR)
        axes.bar(
            places, medians, width * 0.92, yerr=errors, color=colour, label=name, ecolor="#555"
        )
    axes.axhline(1, color="black", linewidth=0.8, label=FLOOR)
    axes.set_xticks(range(len(samples)), [fill(LABELS[name], LABEL_WIDTH) for name in samples])
    axes.set_ylabel("CPU time of a request, as a ratio to the floor")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=len(variants) + 1, frameon=False)
    figure.savefig(path, metadata={"Date": None})
