"""MkDocs hook: pages and pictures of the site that are not in `docs/`, and the links between all
pages.

A page keeps the links that work in the repository, such as `docs/models.md` in the README. This
hook turns them into links of the site. A link to a file that is not on the site, such as
`prefect.yaml`, becomes plain text. The line `::: each geoae.networks.ARCHITECTURES` becomes the
reference of every entry of that dict, so that a new entry needs no line in the documentation.
"""

import posixpath
import re
from importlib import import_module
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

# File in the repository -> file of the site. What is below build/ is written by `make docs`.
OUTSIDE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "tests/benchmarks/README.md": "benchmarks.md",
    "build/pictures/demo/demo.png": "demo.png",
    "build/pictures/evaluation/figures.png": "pictures/gain.png",
}
PLACES = {site: place for place, site in OUTSIDE.items()}
EACH = re.compile(r"^::: each (?P<module>[\w.]+)\.(?P<name>\w+)$", re.MULTILINE)
LINK = re.compile(
    r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s#:]+)(?P<anchor>#[^)\s]*)?\)"
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what lies outside `docs/`; a picture that was just made takes the place of the committed
    one.
    """
    root = Path(config.config_file_path).parent
    for place, site in OUTSIDE.items():
        if place.startswith("build/") and not (root / place).exists():
            continue
        if old := files.get_file_from_path(site):
            files.remove(old)
        files.append(File.generated(config, site, abs_src_path=str(root / place)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The text of a page with each link as the site needs it."""
    root = Path(config.config_file_path).parent
    here = page.file.src_uri
    folder = posixpath.dirname(PLACES.get(here, f"docs/{here}"))

    def relinked(link: re.Match[str]) -> str:
        place = posixpath.normpath(posixpath.join(folder, link["target"]))
        site = OUTSIDE.get(place, place.removeprefix("docs/"))
        if files.get_file_from_path(site):
            target = posixpath.relpath(site, posixpath.dirname(here) or ".")
            return f"{link['image']}[{link['text']}]({target}{link['anchor'] or ''})"
        # MkDocs reports what is nowhere.
        return link["text"] if (root / place).exists() else link[0]

    return LINK.sub(relinked, EACH.sub(_entries, markdown))


def _entries(line: re.Match[str]) -> str:
    entries = getattr(import_module(line["module"]), line["name"])
    return "\n\n".join(
        f"::: {entry.__module__}.{entry.__qualname__}\n"
        f"    options: {{heading: {key}, toc_label: {key}, heading_level: 3, members: false}}"
        for key, entry in entries.items()
    )
