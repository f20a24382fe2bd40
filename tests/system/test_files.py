"""Files take their name on storage of any kind: of the calls that such storage lacks, each in turn
fails.
"""

import errno
import os
from pathlib import Path

import pytest

from geoae.system.files import flush, flush_folder, rename


@pytest.fixture
def draft(tmp_path) -> Path:
    (tmp_path / "draft").write_text("new")
    return tmp_path / "draft"


def failing(number: int):
    def call(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return call


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF])
def test_a_file_that_cannot_be_flushed_is_written_nevertheless(draft, monkeypatch, number):
    monkeypatch.setattr(os, "fsync", failing(number))
    flush(draft)
    flush_folder(draft.parent)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_bytes_that_do_not_reach_the_disk_are_an_error(draft, monkeypatch, number):
    monkeypatch.setattr(os, "fsync", failing(number))
    with pytest.raises(OSError, match=os.strerror(number)):
        flush(draft)
    flush_folder(draft.parent)


def test_a_folder_that_cannot_be_opened_is_not_flushed(draft, monkeypatch):
    monkeypatch.setattr(os, "open", failing(errno.EACCES))
    flush_folder(draft.parent)


def test_a_rename_whose_answer_was_lost_is_done(draft, monkeypatch):
    real = os.replace

    def twice(old, new):
        real(old, new)
        real(old, new)  # as NFS does where it gets no answer

    final = draft.with_name("final")
    final.write_text("old")
    monkeypatch.setattr(os, "replace", twice)
    rename(draft, final)
    assert final.read_text() == "new"


def test_a_draft_that_went_away_is_an_error(draft, monkeypatch):
    final = draft.with_name("final")
    final.write_text("old")
    monkeypatch.setattr(
        os, "replace", lambda old, new: Path(old).unlink() or failing(errno.ENOENT)()
    )
    with pytest.raises(FileNotFoundError):
        rename(draft, final)
    assert final.read_text() == "old"
