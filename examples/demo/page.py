"""The outcomes as one self-contained HTML page with bar charts: no scripts, nothing loaded from elsewhere.

Colours follow the reader's light or dark setting. The bars only draw what stands beside them as text, and a table
repeats everything.
"""

from html import escape
from string import Template

from .measure import Measurement, Outcome
from .table import Run, digest_text, findings, input_text, seconds_text, way_text

_PAGE = Template(
    """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Raddle demo</title>
<style>
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --line: #dfe3e8; --ink: #1b2430; --soft: #56616f;
  --serial: #8a94a3; --stdlib: #3f78c5; --peer: #8357b5; --raddle: #c8501f; --good: #1c7a45; --bad: #b3261e;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12161c; --card: #1a2029; --line: #303946; --ink: #e7ebf0; --soft: #a2adba;
    --serial: #7d8899; --stdlib: #6ba1ea; --peer: #b18ae0; --raddle: #f08352; --good: #5fc78d; --bad: #ff8a80;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif;
}
main { max-width: 860px; margin: 0 auto; padding: 40px 20px 64px; }
h1 { margin: 0 0 4px; font-size: 28px; line-height: 1.2; letter-spacing: -0.01em; }
h2 { margin: 0; font-size: 18px; line-height: 1.3; }
p { margin: 0; }
.soft { color: var(--soft); font-size: 14px; overflow-wrap: anywhere; }
.verdict { margin: 16px 0 0; font-weight: 600; color: var(--good); }
.verdict.bad { color: var(--bad); }
.problems { margin: 4px 0 0; padding-left: 20px; color: var(--bad); }
.key { display: flex; flex-wrap: wrap; gap: 4px 20px; margin: 20px 0 0; padding: 0; list-style: none; font-size: 14px; }
.swatch { display: inline-block; width: 12px; height: 12px; margin-right: 6px; border-radius: 3px; }
.card {
  margin: 16px 0 0; padding: 20px 24px; background: var(--card);
  border: 1px solid var(--line); border-radius: 10px;
}
.chart { margin: 14px 0 0; padding: 0; list-style: none; }
.chart li {
  display: grid; grid-template-columns: 200px 1fr 150px; align-items: center; column-gap: 16px;
  min-height: 34px; font-size: 14px;
}
.chart .raddle-way .name, .chart .raddle-way .times { font-weight: 600; }
.track {
  position: relative; display: flex; align-items: center; align-self: stretch; min-height: 22px;
  border-left: 1px solid var(--line);
}
.track::after {
  content: ""; position: absolute; top: 0; bottom: 0; left: var(--once); border-left: 1px dotted var(--soft);
}
.bar { height: 18px; min-width: 3px; border-radius: 0 4px 4px 0; }
.values {
  display: grid; grid-template-columns: 66px 74px; column-gap: 10px;
  text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums;
}
.serial { background: var(--serial); } .stdlib { background: var(--stdlib); }
.peer { background: var(--peer); } .raddle { background: var(--raddle); }
@media (max-width: 640px) {
  .card { padding: 16px; }
  .chart li { grid-template-columns: 1fr auto; padding: 6px 0; }
  .track { grid-row: 2; grid-column: 1 / -1; }
}
@media (forced-colors: active) { .bar, .swatch { forced-color-adjust: none; } }
@media print { .bar, .swatch { print-color-adjust: exact; } }
.scroll { overflow-x: auto; }
table { width: 100%; margin-top: 12px; border-collapse: collapse; font-size: 14px; }
th, td { padding: 6px 16px 6px 0; text-align: left; vertical-align: baseline; border-bottom: 1px solid var(--line); }
thead th { color: var(--soft); font-weight: 600; }
tbody th { font-weight: 400; }
tbody th[rowspan] { font-weight: 600; }
tr.raddle-way :not([rowspan]) { font-weight: 600; }
td, thead th, tbody th[scope="row"] { white-space: nowrap; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
td:last-child, th:last-child { padding-right: 0; }
.notes { margin: 8px 0 0; padding-left: 20px; color: var(--soft); font-size: 14px; overflow-wrap: anywhere; }
.digest { font: 13px ui-monospace, "DejaVu Sans Mono", monospace; }
</style>
</head>
<body>
<main>
<header>
<h1>Raddle demo</h1>
<p class="soft">$input</p>
$verdict
<ul class="key" aria-label="Colours of the bars">
<li><span class="swatch serial"></span>serial</li>
<li><span class="swatch stdlib"></span>standard library</li>
<li><span class="swatch peer"></span>other packages</li>
<li><span class="swatch raddle"></span>Raddle</li>
<li class="soft">Bars show the speed-up over serial, the dotted line 1 ×: longer is better.</li>
</ul>
</header>
$charts
<section class="card" aria-labelledby="all">
<h2 id="all">All figures</h2>
<div class="scroll">
<table>
<thead><tr><th scope="col">Job</th><th scope="col">Way</th><th scope="col" class="number">Workers</th>
<th scope="col" class="number">Time</th><th scope="col" class="number">Speed-up</th>
<th scope="col">Digest</th></tr></thead>
$rows
</table>
</div>
</section>
<section class="card" aria-labelledby="notes">
<h2 id="notes">Notes</h2>
<ul class="notes">
$notes
</ul>
</section>
</main>
</body>
</html>
"""
)


def render(run: Run) -> str:
    """Return the page as text."""
    sentences = [
        *findings(run),
        "Each way ran once, after the others, on a machine that may have had other things to do.",
        "A time with ~ was measured on a sample of the files and extrapolated to all of them.",
        "Ways whose digests are equal computed the same results, file by file.",
    ]
    return _PAGE.substitute(
        input=escape(input_text(run)),
        verdict=_verdict(run),
        charts="\n".join(_chart(outcome) for outcome in run.outcomes),
        rows="\n".join(_table_group(outcome) for outcome in run.outcomes),
        notes="\n".join(f"<li>{escape(sentence)}</li>" for sentence in sentences),
    )


def _verdict(run: Run) -> str:
    if not run.problems:
        return f'<p class="verdict">✓ All ways agree, in {run.seconds:.1f} seconds.</p>'
    problems = "".join(f"<li>{escape(problem)}</li>" for problem in run.problems)
    return f'<p class="verdict bad">✗ Not all ways agree.</p><ul class="problems">{problems}</ul>'


def _chart(outcome: Outcome) -> str:
    """Return a job's card: title, remark, and a bar for each way's speed-up."""
    job = outcome.job
    longest = max(outcome.speedup(measurement) for measurement in outcome.measurements)
    bars = "\n".join(_bar(outcome, measurement, longest) for measurement in outcome.measurements)
    return f"""<section class="card" aria-labelledby="{job.key}">
<h2 id="{job.key}">{escape(job.title)}</h2>
<p class="soft">{escape(job.remark)}</p>
<ul class="chart" style="--once: {100 / longest:.2f}%">
{bars}
</ul>
</section>"""


def _bar(outcome: Outcome, measurement: Measurement, longest: float) -> str:
    """Return one row of a chart: name, bar, speed-up, time. The figures are text; the bar itself says nothing more."""
    way = measurement.way
    speedup = outcome.speedup(measurement)
    own = ' class="raddle-way"' if way.family == "raddle" else ""
    sample = f' <span class="soft">· from {measurement.measured}</span>' if measurement.extrapolated else ""
    return (
        f'<li{own}><span class="name">{escape(way.name)}{sample}</span>'
        f'<span class="track"><span class="bar {way.family}" style="width: {100 * speedup / longest:.2f}%">'
        f'</span></span><span class="values"><span class="times">{speedup:.2f} ×</span>'
        f'<span class="soft">{seconds_text(measurement)}</span></span></li>'
    )


def _table_group(outcome: Outcome) -> str:
    """Return a job's rows of the table, under one heading."""
    heading = f'<th scope="rowgroup" rowspan="{len(outcome.measurements)}">{escape(outcome.job.title)}</th>'
    rows = [
        _table_row(outcome, measurement, "" if index else heading)
        for index, measurement in enumerate(outcome.measurements)
    ]
    return "<tbody>\n" + "\n".join(rows) + "\n</tbody>"


def _table_row(outcome: Outcome, measurement: Measurement, heading: str) -> str:
    own = ' class="raddle-way"' if measurement.way.family == "raddle" else ""
    return (
        f"<tr{own}>{heading}"
        f'<th scope="row">{escape(way_text(outcome, measurement))}</th>'
        f'<td class="number">{measurement.way.workers}</td>'
        f'<td class="number">{seconds_text(measurement)}</td>'
        f'<td class="number">{outcome.speedup(measurement):.2f} ×</td>'
        f'<td class="digest">{escape(digest_text(measurement))}</td></tr>'
    )
