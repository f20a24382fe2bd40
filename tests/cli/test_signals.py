import signal
import subprocess
import sys

import pytest

RESUMES = "; what is finished is kept, run the same command again to go on"


@pytest.mark.parametrize(
    ("number", "said"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")]
)
@pytest.mark.parametrize(("word", "more"), [("restore", RESUMES), ("inspect", "")])
def test_a_signal_while_the_command_is_imported_is_one_line(tmp_path, number, said, word, more):
    (tmp_path / "click.py").write_text(f"import os; os.kill(os.getpid(), {int(number)})")
    program = [sys.executable, "-m", "geoae", word, "s.tif"]
    done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (
        128 + number,
        "",
        f"geoae: {said}{more}\n",
    )
