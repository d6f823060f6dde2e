"""Reading a file of ``torch.save`` without torch, and without executing anything that the file asks for.

Such a file is a zip archive: ``data.pkl`` says how to rebuild the object, and raw arrays lie beside it. The pickle is read by
``inert_pickle.py``, which runs nothing; tensors are views into the raw arrays. Memory is bounded by the size of the file:
torch stores its arrays uncompressed, so a compressed member is refused, and limits bound the rest.
"""

import re
import struct
import zipfile
from pathlib import Path

import numpy as np

from jaxft.errors import InputError
from jaxft.potential.inert_pickle import Tensor, read_pickle, shortened

MAX_PICKLE_BYTES = 1 << 25
MAX_MEMBERS = 100_000


class TorchFile:
    """A file of ``torch.save``: ``root`` is the object in it, ``array`` reads one of its tensors.

    Raises InputError, when it is opened or read, for anything but such a file, for a damaged one, and for a name outside
    ``ALLOWED``. Use it as a context manager; arrays stay valid after it is closed.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self._archive = zipfile.ZipFile(self.path)
        except (zipfile.BadZipFile, struct.error, ValueError, NotImplementedError) as error:
            raise self._error(
                f"it is no zip archive or a truncated one ({error}); expected a model that torch.save of torch 1.6 or "
                "newer wrote; fetch the file again"
            ) from error
        self._folder = self._check_members()
        if f"{self._folder}/byteorder" in self._archive.namelist() and self._read("byteorder") != b"little":
            raise self._error("its numbers are not little-endian; save it again on a little-endian machine")
        self._storages: dict[str, np.ndarray] = {}
        size = self._archive.getinfo(f"{self._folder}/data.pkl").file_size
        if size > MAX_PICKLE_BYTES:
            raise self._error(f"its data.pkl holds {size} bytes, more than the {MAX_PICKLE_BYTES} that any model needs")
        self.root = read_pickle(self._read("data.pkl"), self.path)

    def __enter__(self) -> "TorchFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()

    def array(self, tensor: Tensor) -> np.ndarray:
        """The numbers of a tensor, read-only. Raises InputError where it does not fit into its storage."""
        storage = tensor.storage
        if storage.member not in self._storages:
            data = self._read(f"data/{storage.member}")
            if len(data) != storage.size * storage.dtype.itemsize:
                raise self._error(
                    f"array {storage.member} has {len(data)} bytes, expected {storage.size} numbers of {storage.dtype}"
                )
            self._storages[storage.member] = np.frombuffer(data, dtype=storage.dtype)
        flat = self._storages[storage.member]
        if flat.dtype != storage.dtype or int(np.prod(tensor.shape, dtype=object)) > flat.size:
            raise self._error(
                f"a tensor of shape {shortened(str(tensor.shape))} does not fit into array {storage.member}"
            )
        width = storage.dtype.itemsize
        try:
            return np.ndarray(
                tensor.shape, storage.dtype, flat, tensor.offset * width, tuple(s * width for s in tensor.strides)
            )
        except (ValueError, TypeError, OverflowError) as error:
            raise self._error(
                f"a tensor of shape {shortened(str(tensor.shape))} does not fit into array {storage.member} ({error})"
            ) from error

    def _check_members(self) -> str:
        """The folder of the archive; refuses what could grow beyond the size of the file."""
        members = self._archive.infolist()
        names = [member.filename for member in members]
        if len(names) > MAX_MEMBERS or len(set(names)) != len(names):
            raise self._error(f"its archive has {len(names)} members, too many or some of the same name")
        folders = [name.removesuffix("/data.pkl") for name in names if re.fullmatch(r"[^/]+/data\.pkl", name)]
        if len(folders) != 1:
            count = f"{len(folders)} of them" if folders else "no data.pkl"
            raise self._error(
                f"its archive holds {count} where one data.pkl belongs; expected a model that torch.save wrote"
            )
        if f"{folders[0]}/constants.pkl" in names:
            raise self._error("it is a TorchScript program (torch.jit.save); expected the model that torch.save wrote")
        for member in members:
            if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
                raise self._error(
                    f"member {shortened(member.filename)!r} is compressed, which torch never does; refused"
                )
        if sum(member.file_size for member in members) > self.path.stat().st_size:
            raise self._error("its members are larger together than the file; refused")
        return folders[0]

    def _read(self, name: str) -> bytes:
        try:
            return self._archive.read(f"{self._folder}/{name}")
        except KeyError:
            raise self._error(f"its archive lacks {name}; fetch the file again") from None
        except (zipfile.BadZipFile, EOFError, RuntimeError, NotImplementedError, struct.error) as error:
            raise self._error(f"{name} in its archive is damaged ({error}); fetch the file again") from error

    def _error(self, text: str) -> InputError:
        return InputError(f"{self.path}: {text}")
