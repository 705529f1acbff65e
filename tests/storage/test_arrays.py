"""Arrays and curves as bytes: nothing of them changes."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hn

from archloss.storage.arrays import pack_arrays, pack_values, unpack_arrays, unpack_values


@given(st.lists(st.floats(allow_nan=False)))
def test_values_come_back_bit_for_bit(values):
    assert unpack_values(pack_values(values)) == values


def test_nan_comes_back():
    assert math.isnan(unpack_values(pack_values([math.nan]))[0])


def test_values_take_eight_bytes_each():
    assert pack_values([1.0, 2.0]) == b"\0\0\0\0\0\0\xf0?\0\0\0\0\0\0\0@"


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=9).filter(lambda name: name != "__metadata__"),
        hn.arrays(
            st.sampled_from([np.float32, np.float64, np.float16]),
            hn.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
        ),
        max_size=4,
    )
)
def test_arrays_come_back_with_names_types_and_shapes(arrays):
    back = unpack_arrays(pack_arrays(arrays))
    assert set(back) == set(arrays)
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype
        assert back[name].shape == array.shape
        assert back[name].tobytes() == array.tobytes()


def test_a_slice_comes_back_as_itself():
    whole = np.arange(12.0).reshape(3, 4)
    np.testing.assert_array_equal(unpack_arrays(pack_arrays({"a": whole[:, 1]}))["a"], whole[:, 1])
    np.testing.assert_array_equal(unpack_arrays(pack_arrays({"a": whole.T}))["a"], whole.T)


def test_a_pickle_is_not_read():
    with pytest.raises(Exception, match=r"(?i)header"):
        unpack_arrays(b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x07archive\x94.")
