"""Any values that TOML can hold, and how it writes them."""

import json
import math

from hypothesis import strategies as st

SCALARS = st.one_of(
    st.booleans(),
    st.integers(),
    st.integers(1, 2000),
    st.floats(),
    st.floats(0, 100),
    st.text(max_size=12),
    st.sampled_from(["auto", "cog", "gtiff", "linear", "smooth", "identity"]),
    st.dates(),
    st.times(),
)


VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=2)
    ),
)


def toml(value: object) -> str:
    """``value`` as TOML writes it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{text(key)} = {toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else f"{'-' if value < 0 else ''}inf"
    if isinstance(value, str):
        return text(value)
    return str(value).lower() if isinstance(value, bool | float) else str(value)


def text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
