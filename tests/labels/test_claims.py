"""Claims on structures that are being computed: one process has each, and none outlives its process."""

import subprocess
import sys

import pytest

from jaxft.errors import InputError
from jaxft.labels.claims import SUFFIX, open_claims

KEYS = [f"{n:064x}"[::-1] for n in (1, 2, 3)]
HOLDER = """
import sys
from pathlib import Path
from jaxft.labels.claims import open_claims
with open_claims(Path(sys.argv[1])) as claims:
    print(*claims.take(sys.argv[2:]), flush=True)
    for key in sys.stdin:
        claims.release(key.strip())
        print("released", flush=True)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process, which has claimed the first two keys."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "labels.db"), *KEYS[:2]]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline().split() == KEYS[:2]
        yield process
        process.kill()


def test_what_another_process_has_can_not_be_taken_until_it_gives_it_back(tmp_path, holder):
    with open_claims(tmp_path / "labels.db") as claims:
        assert claims.take(KEYS) == [KEYS[2]]
        holder.stdin.write(KEYS[1] + "\n")
        holder.stdin.flush()
        holder.stdout.readline()
        assert claims.take(KEYS) == KEYS[1:]


def test_a_store_has_the_same_claims_by_whatever_name_it_is_reached(tmp_path, holder):
    (tmp_path / "labels.db").touch()
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "other.db").symlink_to(tmp_path / "labels.db")
    with open_claims(tmp_path / "link" / "other.db") as claims:
        assert claims.take(KEYS) == [KEYS[2]]


def test_a_killed_process_claims_nothing(tmp_path, holder):
    holder.kill()
    holder.wait()
    with open_claims(tmp_path / "labels.db") as claims:
        assert claims.take(KEYS) == KEYS


def test_a_folder_that_can_not_be_written_is_named(tmp_path):
    (tmp_path / f"labels.db{SUFFIX}").mkdir()
    with (
        pytest.raises(InputError, match=r"labels.db-claims, which says what is being computed, can't be made"),
        open_claims(tmp_path / "labels.db"),
    ):
        pass
