"""Charts as SVG: panels of lines or bars with a legend.

Colours are Okabe and Ito's, told apart by any eye, and shapes differ as well. A chart brings its own background, light
or dark as the reader's system is, so it is readable on any page.
"""

import math
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

PANEL_WIDTH, PANEL_HEIGHT = 440, 250  # of all a panel takes
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 34, 46  # around its axes
HEAD, FOOT, EDGE = 70, 30, 14

STYLE = """
text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;font-size:12px;fill:#24292f}
.paper{fill:#fff;stroke:#d0d7de}.title{font-size:17px;font-weight:600}.panel{font-weight:600;font-size:13px}
.soft{fill:#57606a}.value{font-size:11px}.grid{stroke:#d8dee4}.axis{stroke:#8c959f}.line{fill:none;stroke-width:2.5}
.s0{stroke:#0072b2}.f0{fill:#0072b2}.s1{stroke:#d55e00}.f1{fill:#d55e00}.s2{stroke:#009e73}.f2{fill:#009e73}
.s3{stroke:#aa4499}.f3{fill:#aa4499}.spread{stroke-width:1.2}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.paper{fill:#0d1117;stroke:#30363d}.soft{fill:#9198a1}
.grid{stroke:#2a3038}.axis{stroke:#656c76}.s0{stroke:#56b4e9}.f0{fill:#56b4e9}.s1{stroke:#e8863a}.f1{fill:#e8863a}
.s2{stroke:#2fc79a}.f2{fill:#2fc79a}.s3{stroke:#cc79a7}.f3{fill:#cc79a7}}
""".strip()


@dataclass
class Series:
    name: str
    points: dict  # x: (value, least, most) of the runs


@dataclass
class Panel:
    title: str
    y_label: str
    x_label: str
    series: list
    kind: str = "lines"   # or "bars"
    y_log: bool = False
    x_names: dict = field(default_factory=dict)  # of x, where the number does not say it


def chart(title, note, panels, columns=2):
    """The text of an SVG file. Series with the same name have the same colour in all panels."""
    names = list(dict.fromkeys(series.name for panel in panels for series in panel.series if series.points))
    columns = min(columns, len(panels))
    rows = math.ceil(len(panels) / columns)
    width, height = columns * PANEL_WIDTH + 2 * EDGE, HEAD + rows * PANEL_HEIGHT + FOOT
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
             f'height="{height}" role="img" aria-label="{escape(title)}">', f"<style>{STYLE}</style>",
             f'<rect class="paper" x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="8"/>',
             _text(EDGE + 8, 28, title, "title"), *_legend(names)]
    for number, panel in enumerate(panels):
        x, y = EDGE + number % columns * PANEL_WIDTH, HEAD + number // columns * PANEL_HEIGHT
        parts.append(f'<g transform="translate({x},{y})">')
        parts += _Drawing(panel, names).parts()
        parts.append("</g>")
    parts += [_text(EDGE + 8, height - 12, note, "soft value"), "</svg>"]
    return "\n".join(parts) + "\n"


def _text(x, y, text, kind="", anchor="start", more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}"{more}>{escape(str(text))}</text>'


def _spread(kind, x, low, high):
    return f'<line class="spread {kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>'


def _marker(number, x, y):
    """Of a series: a disc, a square, a triangle, a diamond."""
    if number == 0:
        return f'<circle class="f0" cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>'
    corners = {1: ((-4, -4), (4, -4), (4, 4), (-4, 4)), 2: ((0, -5.5), (5, 4), (-5, 4)),
               3: ((0, -5.5), (5.5, 0), (0, 5.5), (-5.5, 0))}[number % 4]
    points = " ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in corners)
    return f'<polygon class="f{number % 4}" points="{points}"/>'


def _legend(names):
    parts, x = [], EDGE + 14
    for number, name in enumerate(names):
        parts += [_marker(number, x, 48), _text(x + 11, 52, name)]
        x += 36 + 7 * len(name)
    return parts


def nice_ticks(most, count=5):
    """From 0 to at least `most`, in steps of 1, 2 or 5 times a power of ten."""
    rough = max(most, 1e-9) / count
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    return [step * number for number in range(math.ceil(most / step - 1e-9) + 1)]


def log_ticks(least, most):
    """From at most `least` to at least `most`: 1, 2 and 5 times the powers of ten, or these alone if that is many."""
    powers = range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)
    for factors in ((1, 2, 5), (1,)):
        ticks = [factor * 10.0 ** power for power in powers for factor in factors]
        below = [tick for tick in ticks if tick <= least * 1.001][-1:]
        above = [tick for tick in ticks if tick >= most * 0.999][:1]
        ticks = below + [tick for tick in ticks if least * 1.001 < tick < most * 0.999] + above
        if len(ticks) <= 7:
            break
    return ticks if ticks[0] < ticks[-1] else [ticks[0], ticks[0] * 10]


def short(value):
    """A number as one reads it: 1.2 M, 850 k, 0.25."""
    if value >= 1e6:
        return f"{value / 1e6:.3g} M"
    if value >= 10000:
        return f"{value / 1e3:.3g} k"
    if value >= 1000:
        return f"{value:.0f}"
    return f"{value:.3g}" if value >= 0.01 or value == 0 else f"{value:.1g}"


class _Drawing:
    """A panel, with the places of its values."""

    def __init__(self, panel, names):
        self.panel, self.names = panel, names
        self.width, self.height = PANEL_WIDTH - LEFT - RIGHT, PANEL_HEIGHT - TOP - BOTTOM
        self.xs = sorted({x for series in panel.series for x in series.points})
        values = [point for series in panel.series for point in series.points.values()]
        most = max((high for _, _, high in values), default=1)
        if panel.y_log:
            self.ticks = log_ticks(min((low for _, low, _ in values if low > 0), default=0.1), most)
        else:
            self.ticks = nice_ticks(most * (1.1 if panel.kind == "bars" else 1))  # with room for the numbers

    def parts(self):
        panel = self.panel
        shown = [series for series in panel.series if series.points]
        if not shown:
            return [_text(LEFT, TOP - 14, panel.title, "panel"),
                    _text(LEFT + self.width / 2, TOP + self.height / 2, "not measured", "soft", "middle")]
        return [_text(LEFT, TOP - 14, panel.title, "panel"), *self._axes(),
                *(self._bars(shown) if panel.kind == "bars" else self._lines(shown))]

    def _y(self, value):
        low, high = self.ticks[0], self.ticks[-1]
        if self.panel.y_log:
            share = math.log10(max(value, low) / low) / math.log10(high / low)
        else:
            share = value / high
        return TOP + self.height * (1 - share)

    def _x(self, x):
        """Logarithmic where that is possible; bars and what begins with 0 have equal steps."""
        if self.panel.kind == "bars":
            return LEFT + self.width * (self.xs.index(x) + 0.5) / len(self.xs)
        if len(self.xs) == 1:
            return LEFT + self.width / 2
        inner = self.width - 36
        if self.xs[0] <= 0:
            return LEFT + 18 + inner * self.xs.index(x) / (len(self.xs) - 1)
        return LEFT + 18 + inner * math.log(x / self.xs[0]) / math.log(self.xs[-1] / self.xs[0])

    def _axes(self):
        bottom, right = TOP + self.height, LEFT + self.width
        parts = []
        for tick in self.ticks:
            y = self._y(tick)
            parts.append(f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(_text(LEFT - 7, y + 4, short(tick), "soft", "end"))
        parts.append(f'<line class="axis" x1="{LEFT}" x2="{right}" y1="{bottom}" y2="{bottom}"/>')
        for x in self.xs:
            parts.append(_text(self._x(x), bottom + 17, self.panel.x_names.get(x, x), "soft", "middle"))
        middle = TOP + self.height / 2
        parts.append(_text(LEFT + self.width / 2, bottom + 35, self.panel.x_label, "soft", "middle"))
        upwards = f' transform="rotate(-90 15 {middle:.1f})"'
        parts.append(_text(15, middle, self.panel.y_label, "soft", "middle", upwards))
        return parts

    def _lines(self, shown):
        parts = []
        for series in shown:
            number = self.names.index(series.name)
            places = [(self._x(x), *(self._y(value) for value in series.points[x])) for x in sorted(series.points)]
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _, _ in places)
            parts.append(f'<polyline class="line s{number % 4}" points="{path}"/>')
            for x, y, low, high in places:
                parts.append(_spread(f"s{number % 4}", x, low, high))
                parts.append(_marker(number, x, y))
        return parts

    def _bars(self, shown):
        parts = []
        slot = self.width / len(self.xs) if self.xs else 0
        wide = min(44, slot * 0.8 / max(1, len(shown)))
        for position, series in enumerate(shown):
            number = self.names.index(series.name)
            for x, (value, low, high) in series.points.items():
                left = self._x(x) + (position - len(shown) / 2) * wide
                top, bottom, middle = self._y(value), TOP + self.height, left + wide / 2
                parts.append(f'<rect class="f{number % 4}" x="{left + 1:.1f}" y="{top:.1f}" width="{wide - 2:.1f}" '
                             f'height="{max(0, bottom - top):.1f}"/>')
                if high > low:
                    parts.append(_spread("axis", middle, self._y(low), self._y(high)))
                parts.append(_text(middle, min(top, self._y(high)) - 4, short(value), "value", "middle"))
        return parts
