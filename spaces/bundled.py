"""The real data sets that come with scikit-learn: they need no network."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from archloss.spaces.dataset import Dataset, Feature
from archloss.spaces.named import DatasetInfo

_DIGITS = DatasetInfo(
    name="digits",
    examples=1797,
    features=64,
    classes=10,
    description="Handwritten digits, 8 by 8 pixels (Alpaydin & Kaynak, UCI 1998).",
)
_WINE = DatasetInfo(
    name="wine",
    examples=178,
    features=13,
    classes=3,
    description="Chemical analysis of Italian wines of three cultivars (Forina et al., UCI 1991).",
)
_BREAST_CANCER = DatasetInfo(
    name="breast-cancer",
    examples=569,
    features=30,
    classes=2,
    description="Cell nuclei of benign and malignant tumours (Wolberg et al., UCI 1995).",
)
_IRIS = DatasetInfo(
    name="iris",
    examples=150,
    features=4,
    classes=3,
    description="Sepals and petals of three kinds of iris (Fisher 1936).",
)

BUNDLED: Mapping[str, DatasetInfo] = MappingProxyType(
    {info.name: info for info in (_DIGITS, _WINE, _BREAST_CANCER, _IRIS)}
)


def load_bundled(name: str, *, label_noise: float) -> Dataset:
    """Return a bundled data set by its name in BUNDLED."""
    from sklearn import datasets

    load = getattr(datasets, f"load_{name.replace('-', '_')}")
    bunch = load()
    return Dataset(
        name=name,
        x=np.asarray(bunch.data, dtype=np.float64),
        y=np.asarray(bunch.target, dtype=np.int64),
        features=tuple(Feature(name=str(feature)) for feature in bunch.feature_names),
        classes=tuple(str(label) for label in bunch.target_names),
        label_noise=label_noise,
    )
