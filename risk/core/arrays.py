"""Names for the arrays that the core passes around."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]  # NaN means "not known"
Integers = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int8]
Flags = npt.NDArray[np.bool_]
