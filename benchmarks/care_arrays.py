"""Arrays that come with the package, in as few bytes as every Python can read."""

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

_MOST = 9


def save_arrays(path: Path, **arrays: ArrayLike) -> None:
    """As `numpy.savez_compressed`, which has no setting for how much it compresses."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=_MOST) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, np.asanyarray(array), allow_pickle=False)
