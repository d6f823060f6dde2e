"""Files of torch.save are read and never run: hostile and damaged ones are refused in one line, with bounded memory."""

import os
import pickle
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from jaxft.errors import InputError
from jaxft.potential.inert_pickle import Bag
from jaxft.potential.torch_file import TorchFile

MODEL = Path(__file__).parents[1] / "data" / "mace" / "agnostic.model"


def archive(
    path: Path, pickled: bytes, members: dict[str, bytes] | None = None, compression=zipfile.ZIP_STORED
) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr("model/data.pkl", pickled)
        for name, data in (members or {}).items():
            file.writestr(f"model/{name}", data)
    return path


class Calls:
    """Pickles as a call of a function, as hostile files do."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def tensor(
    shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0, size: int = 4, key: bytes = b"0"
) -> bytes:
    """A pickle of one tensor, written as torch writes it."""

    def numbers(values):
        return b"(" + b"".join(b"J" + struct.pack("<i", v) for v in values) + b"t"

    def text(value):
        return b"X" + struct.pack("<I", len(value)) + value

    storage = b"(" + text(b"storage") + b"ctorch\nDoubleStorage\n" + text(key) + text(b"cpu")
    storage += b"J" + struct.pack("<i", size) + b"tQ"
    return (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n("
        + storage
        + b"J"
        + struct.pack("<i", offset)
        + numbers(shape)
        + numbers(strides)
        + b"\x89ccollections\nOrderedDict\n)RtR."
    )


NUMBERS = np.arange(4.0).tobytes()


def test_a_model_becomes_bags_and_arrays():
    with TorchFile(MODEL) as file:
        assert isinstance(file.root, Bag)
        assert file.root.kind == "mace.modules.models.ScaleShiftMACE"
        assert file.array(file.root.get("atomic_numbers")).tolist() == [1, 8, 17]


def test_a_tensor_is_a_view_with_its_strides(tmp_path):
    path = archive(tmp_path / "a", tensor((2, 2), (1, 2)), {"data/0": NUMBERS})
    with TorchFile(path) as file:
        np.testing.assert_array_equal(file.array(file.root), [[0.0, 2.0], [1.0, 3.0]])


def hostile(canary: Path) -> dict[str, tuple[object, str]]:
    touch = f"open({str(canary)!r}, 'w').close()"
    return {
        "os.system": (Calls(os.system, f"touch {canary}"), r"posix\.system"),
        "exec": (Calls(exec, touch), r"exec"),
        "inside a dictionary": ({"state": [Calls(os.system, f"touch {canary}")]}, r"posix\.system"),
        "os.open": (Calls(os.open, str(canary), os.O_CREAT), r"posix\.open"),
    }


@pytest.mark.parametrize("kind", list(hostile(Path("canary"))))
def test_nothing_of_a_hostile_file_is_executed(tmp_path, kind):
    canary = tmp_path / "canary"
    what, named = hostile(canary)[kind]
    data = pickle.dumps(what, protocol=2)
    pickle.loads(data)
    assert canary.exists(), "the canary must sing when the pickle is really loaded"
    canary.unlink()
    with pytest.raises(InputError, match=named):
        TorchFile(archive(tmp_path / "evil.model", data))
    assert not canary.exists()


def test_getattr_reaches_nothing_but_functions_of_torch(tmp_path):
    def looked_up(owner: bytes, name: bytes) -> Path:
        text = b"X" + struct.pack("<I", len(name)) + name
        return archive(tmp_path / "a", b"\x80\x02c__builtin__\ngetattr\nc" + owner + b"\n" + text + b"\x86R.")

    assert TorchFile(looked_up(b"torch._C\n_VariableFunctionsClass", b"tanh")).root.name == "torch.tanh"
    with pytest.raises(InputError, match=r"getattr\(torch\._C\._VariableFunctionsClass, from_file\)"):
        TorchFile(looked_up(b"torch._C\n_VariableFunctionsClass", b"from_file"))
    with pytest.raises(InputError, match=r"getattr\(collections\.OrderedDict, clear\)"):
        TorchFile(looked_up(b"collections\nOrderedDict", b"clear"))


def test_a_class_of_a_known_package_that_is_no_class_is_refused(tmp_path):
    for name in (b"cmace.cli.run_train\nmain\n", b"cmace.modules.blocks\nos.system\n", b"ctorch.hub\nload\n"):
        with pytest.raises(InputError, match="nothing of it was executed"):
            TorchFile(archive(tmp_path / "a", b"\x80\x02" + name + b")R."))


@pytest.mark.parametrize("opcode", [b"(ios\nsystem\n.", b"\x82\x01.", b"\x80\x02}}o.", b"I12\n."])
def test_opcodes_that_torch_does_not_write_are_refused(tmp_path, opcode):
    with pytest.raises(InputError, match=r"torch does not write|damaged"):
        TorchFile(archive(tmp_path / "a", opcode))


def test_a_truncated_file_is_refused(tmp_path):
    whole = MODEL.read_bytes()
    path = tmp_path / "short.model"
    for length in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match="truncated"):
            TorchFile(path)


def test_a_truncated_pickle_is_refused(tmp_path):
    with zipfile.ZipFile(MODEL) as file:
        data = file.read("agnostic/data.pkl")
    for length in (0, 1, 1000, len(data) - 1):
        with pytest.raises(InputError, match=r"damaged|ends early"):
            TorchFile(archive(tmp_path / "a", data[:length]))


def test_flipped_bytes_are_refused_or_harmless(tmp_path):
    whole = MODEL.read_bytes()
    path = tmp_path / "flipped.model"
    rng = np.random.default_rng(0)
    refused = 0
    for place in rng.integers(0, len(whole), 60):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        path.write_bytes(bytes(damaged))
        try:
            TorchFile(path)
        except InputError:
            refused += 1
    assert refused > 30


def test_a_zip_bomb_is_refused_with_bounded_memory(tmp_path):
    path = tmp_path / "bomb.model"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        file.writestr("model/data.pkl", tensor((4,), (1,)))
        with file.open("model/data/0", "w", force_zip64=True) as member:
            for _ in range(256):
                member.write(bytes(1 << 20))
    assert path.stat().st_size < 4 << 20
    tracemalloc.start()
    with pytest.raises(InputError, match="compressed"):
        TorchFile(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


def test_members_that_overlap_are_refused(tmp_path):
    path = archive(tmp_path / "a", tensor((4,), (1,)), {"data/0": NUMBERS})
    data = bytearray(path.read_bytes())
    place = data.rindex(b"PK\x01\x02")
    data[place + 20 : place + 28] = struct.pack("<II", 1 << 30, 1 << 30)
    path.write_bytes(bytes(data))
    with pytest.raises(InputError, match="larger together than the file"):
        TorchFile(path)


@pytest.mark.parametrize(
    ("pickled", "word"),
    [
        (b"\x80\x02" + b"N" * 1_100_000 + b".", "steps"),
        (b"\x80\x02" + bytes(1 << 25) + b".", "more than the"),
        (b"\x80\x02K\x01r\xff\xff\xff\x7fj\xff\xff\xff\x7f.", None),
        (b"\x80\x02X\xff\xff\xff\x7f.", "damaged"),
    ],
)
def test_a_pickle_cannot_take_much_more_memory_than_its_file(tmp_path, pickled, word):
    path = archive(tmp_path / "a", pickled)
    tracemalloc.start()
    if word is None:
        assert TorchFile(path).root == 1
    else:
        with pytest.raises(InputError, match=word):
            TorchFile(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200 << 20


def doubled(times: int) -> bytes:
    """A tuple of two of itself, so many times over: 2^times leaves from a few bytes each."""
    return b")q\x00" + b"".join(b"h" + bytes([k]) + b"h" + bytes([k]) + b"\x86q" + bytes([k + 1]) for k in range(times))


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


ENCODE = b"c_codecs\nencode\n"


@pytest.mark.parametrize(
    ("pickled", "words"),
    [
        # keys of dictionaries are hashed, and hashing follows every path through nested tuples
        (b"\x80\x02}" + b")" + b"\x85" * 900_000 + b"Ns.", "neither names nor whole numbers"),
        (b"\x80\x02}" + doubled(60) + b"Ns.", "neither names nor whole numbers"),
        # names and storages are shown in messages
        (b"\x80\x04" + doubled(60) + text("x") + b"\x93.", "a name that is no text"),
        (b"\x80\x02" + doubled(60) + b"Q.", "damaged"),
        (
            b"\x80\x02" + doubled(60) + b"c__builtin__\ngetattr\nctorch._C\n_VariableFunctionsClass\nh\x3c\x86R.",
            "a name in a name",
        ),
        (b"\x80\x02" + doubled(60) + ENCODE + b"h\x3c\x85R.", "bytes that are not made of a short text"),
        # one object of the file, used many times
        (
            b"\x80\x02" + text("a" * 70_000) + b"q\x00(" + (ENCODE + b"h\x00\x85R") * 2000 + b"t.",
            "bytes that are not made of a short text",
        ),
        (
            b"\x80\x02}(" + b"".join(b"J" + struct.pack("<i", k) + b"N" for k in range(100_000)) + b"uq\x00"
            b"(" + b"ctorch.nn.modules\nA\n)\x81h\x00b" * 2000 + b"t.",
            "attributes, which no model needs",
        ),
    ],
)
def test_a_few_bytes_cannot_ask_for_much_time_or_memory(tmp_path, pickled, words):
    tracemalloc.start()
    with pytest.raises(InputError, match=words):
        TorchFile(archive(tmp_path / "a", pickled))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 300 << 20


def test_messages_are_short_whatever_the_file_holds(tmp_path):
    name = "os." + "a" * 100_000
    with pytest.raises(InputError) as caught:
        TorchFile(archive(tmp_path / "a", b"\x80\x04" + text("os") + text(name) + b"\x93."))
    assert len(str(caught.value)) < 500


def test_a_damaged_mark_of_the_byte_order_is_refused(tmp_path):
    path = archive(tmp_path / "a", b"\x80\x02N.", {"byteorder": b"little"})
    path.write_bytes(path.read_bytes().replace(b"little", b"lottle", 1))
    with pytest.raises(InputError, match="byteorder in its archive is damaged"):
        TorchFile(path)


@pytest.mark.parametrize(
    "pickled",
    [
        tensor((5,), (1,)),
        tensor((4,), (1,), offset=1),
        tensor((2, 2), (1, 3)),
        tensor((1 << 30, 1 << 30), (0, 0)),
        tensor((2,), (2**31 - 1,)),
        tensor((4,), (1,), size=400),
        tensor((4,), (1,), key=b"1"),
    ],
)
def test_a_tensor_that_does_not_fit_its_storage_is_refused(tmp_path, pickled):
    with (
        TorchFile(archive(tmp_path / "a", pickled, {"data/0": NUMBERS})) as file,
        pytest.raises(InputError, match=r"does not fit|expected 400 numbers|lacks data/1"),
    ):
        file.array(file.root)


@pytest.mark.parametrize(
    "pickled", [tensor((-1,), (1,)), tensor((4,), (1,), key=b"../../etc/passwd"), tensor((4,), (1,), size=-4)]
)
def test_a_tensor_that_makes_no_sense_is_refused(tmp_path, pickled):
    with pytest.raises(InputError, match="damaged"):
        TorchFile(archive(tmp_path / "a", pickled, {"data/0": NUMBERS}))


def test_other_archives_are_told_apart(tmp_path):
    with pytest.raises(InputError, match="TorchScript"):
        TorchFile(archive(tmp_path / "jit", b"\x80\x02N.", {"constants.pkl": b"\x80\x02N."}, zipfile.ZIP_DEFLATED))
    with pytest.raises(InputError, match="little-endian"):
        TorchFile(archive(tmp_path / "big", b"\x80\x02N.", {"byteorder": b"big"}))
    with zipfile.ZipFile(tmp_path / "zip", "w") as file:
        file.writestr("readme.txt", "hello")
    with pytest.raises(InputError, match=r"no data\.pkl"):
        TorchFile(tmp_path / "zip")
    (tmp_path / "old").write_bytes(pickle.dumps(119547037146038801333356, protocol=2))
    with pytest.raises(InputError, match="no zip archive"):
        TorchFile(tmp_path / "old")
