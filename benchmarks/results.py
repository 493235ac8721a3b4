"""``python -m benchmarks.results``: write RESULTS.md and its plots from ``results/*.json``, and from nothing else."""

from __future__ import annotations

from html import escape
from pathlib import Path

from benchmarks.result import FOLDER, Figure, Result

__all__ = ["page", "plot", "write"]

WIDTH, ROW, LEFT = 720, 26, 330


def write(folder: Path = FOLDER) -> None:
    """Write the page beside the folder and a plot in it for each result."""
    results = read(folder)
    for result in results:
        (folder / f"{result.id}.svg").write_text(plot(result))
    (folder.parent / "RESULTS.md").write_text(page(results))


def read(folder: Path = FOLDER) -> list[Result]:
    """Every result, by its id."""
    return [Result.model_validate_json(path.read_text()) for path in sorted(folder.glob("*.json"))]


def page(results: list[Result]) -> str:
    """The page: a line for each bar, then each result with its figures."""
    lines = ["# Results", "", "Made by `make results` from `benchmarks/results/*.json`; not typed by hand.", ""]
    lines += ["| id | what | bar | met |", "|---|---|---|---|"]
    lines += [f"| {r.id} | {r.title} | {r.bar} | {_met(r)} |" for r in results]
    for result in results:
        lines += ["", *_section(result)]
    return "\n".join(lines) + "\n"


def _section(result: Result) -> list[str]:
    lines = [f"## {result.id}: {result.title}", "", f"![{result.id}](results/{result.id}.svg)", ""]
    lines += ["| figure | median | 95 % interval | unit |", "|---|---:|---:|---|"]
    lines += [
        f"| {f.name} | {_number(f.value)} | {_number(f.low)} to {_number(f.high)} | {f.unit} |" for f in result.figures
    ]
    lines += ["", f"- bar: {result.bar}: **{_met(result)}**", f"- baseline: {result.baseline}"]
    lines += [f"- {result.repeats} repeats in turn, seeds {', '.join(map(str, result.seeds))}, `{result.command}`"]
    lines += [f"- {result.machine}; commit {result.commit}; {result.date}"]
    return [*lines, *(f"- {note}" for note in result.notes)]


def _met(result: Result) -> str:
    return {True: "met", False: "missed", None: "no bar"}[result.met]


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3f}"


def plot(result: Result) -> str:
    """The ratios of a result with their intervals, and a line at 1, as an SVG."""
    ratios = [figure for figure in result.figures if figure.unit == "x"]
    most = max([1.0, *(figure.high for figure in ratios)]) * 1.05
    height = ROW * (len(ratios) + 1) + 10

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT - 60) * value / most

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<line x1="{x(1):.1f}" x2="{x(1):.1f}" y1="6" y2="{height - ROW}" stroke="#888" stroke-dasharray="4 3"/>',
        f'<text x="{x(1):.1f}" y="{height - 10}" text-anchor="middle" fill="#555">1 x</text>',
    ]
    for row, figure in enumerate(ratios):
        parts += _row(figure, 20 + ROW * row, x(figure.low), x(figure.value), x(figure.high))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _row(figure: Figure, y: int, low: float, value: float, high: float) -> list[str]:
    return [
        f'<text x="{LEFT - 10}" y="{y + 4}" text-anchor="end">{escape(figure.name.rpartition(":")[0])}</text>',
        f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}" stroke="#0f766e" stroke-width="3"/>',
        f'<circle cx="{value:.1f}" cy="{y}" r="4" fill="#0f766e"/>',
        f'<text x="{high + 8:.1f}" y="{y + 4}" fill="#333">{figure.value:.2f}</text>',
    ]


if __name__ == "__main__":
    write()
