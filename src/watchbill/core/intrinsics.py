"""Machine operations that numba has no words for: a bare pointer to an array, and eight bytes from any address."""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped,unused-ignore]
from numba import types
from numba.extending import intrinsic


def _pointer(_typing: Any, array: Any) -> Any:
    """Give a bare pointer to the first element of a contiguous array, which the caller keeps alive."""
    of: Any = types.CPointer
    signature = of(array.dtype)(array)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.make_array(signature.args[0])(context, builder, arguments[0]).data

    return signature, generate


def _load64(_typing: Any, source: Any, at: Any) -> Any:
    """The eight bytes at `source + at` as a little-endian number; all eight must be there."""
    signature = types.uint64(source, types.intp)

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        source, at = arguments
        place = builder.bitcast(builder.gep(source, [at]), ir.IntType(64).as_pointer())
        return builder.load(place, align=1)

    return signature, generate


# Any on purpose: numba passes the first argument itself, and gives kernels bare pointers that Python has no type for
pointer: Any = intrinsic(_pointer)
load64: Any = intrinsic(_load64)
