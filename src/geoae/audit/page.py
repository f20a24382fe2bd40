"""Findings of a diagnosis as one HTML page that needs no other file."""

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment

from geoae.diagnosis.finding import Finding
from geoae.diagnosis.grouping import summarise, tabulate
from geoae.errors import OutputError

__all__ = ["write_page"]

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{{ title }}</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem }
table { border-collapse: collapse; width: 100% }
th, td { border-bottom: 1px solid #ccc; padding: .35rem .6rem }
th, td { text-align: left; vertical-align: top }
td:nth-child(3) { white-space: nowrap }
td:nth-child(2) { max-width: 14rem }
img { image-rendering: pixelated; max-width: 100% }
</style>
</head>
<body>
<h1>{{ title }}</h1>
<p>{{ facts }}</p>
{% if picture %}<img src="{{ picture }}" alt="The middle of the scene">{% endif %}
<h2>What geoae restore would do</h2>
<ul>{% for line in steps %}<li>{{ line }}</li>{% else %}<li>nothing</li>{% endfor %}</ul>
<h2>Findings</h2>
{% if summary %}<ul>{% for line in summary %}<li>{{ line }}</li>{% endfor %}</ul>{% endif %}
<table>
<tr><th>finding</th><th>band</th><th>strength</th><th>where</th><th>evidence</th><th>sure</th>
<th>what to do</th></tr>
{% for row in rows %}<tr>{% for cell in row.cells %}<td>{{ cell }}</td>{% endfor %}</tr>
{% else %}<tr><td colspan="7">none</td></tr>{% endfor %}
</table>
{% if rows | length < findings %}<p>A row gathers bands with similar findings. Where these
differ, it shows that of the band it names.
geoae diagnose --json lists all {{ findings }} findings.</p>
{% endif %}
{% if notes %}<h2>Notes</h2>
<ul>{% for line in notes %}<li>{{ line }}</li>{% endfor %}</ul>{% endif %}
</body>
</html>
"""


def write_page(
    path: Path,
    title: str,
    facts: str,
    findings: Sequence[Finding],
    steps: Sequence[str],
    notes: Sequence[str] = (),
    picture: str = "",
) -> None:
    """Write findings as an HTML page.

    Args:
        path: file to write.
        title: heading, such as the name of the scene.
        facts: one line on the scene.
        findings: what was found.
        steps: what restoring would do, one line each.
        notes: further lines.
        picture: image as a ``data:`` URL; empty for none.

    Raises:
        OutputError: the file cannot be written.

    """
    template = Environment(autoescape=True).from_string(PAGE)
    page = template.render(
        title=title,
        facts=facts,
        findings=len(findings),
        summary=summarise(findings),
        rows=tabulate(findings),
        steps=steps,
        notes=notes,
        picture=picture,
    )
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror}); give --html another path"
        ) from error
