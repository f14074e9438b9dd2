"""Machine operations that numba has no words for: bare pointers, 16-byte copies, calls of a C library's digest."""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped,unused-ignore]
from numba import types
from numba.extending import intrinsic

_VECTOR = ir.VectorType(ir.IntType(8), 16)


def _pointer(_typing: Any, array: Any) -> Any:
    """Give a bare pointer to the first element of a contiguous array, which the caller keeps alive.

    Passing arrays between kernels counts references at each call, which costs more than writing a short text.
    """
    of: Any = types.CPointer
    signature = of(array.dtype)(array)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.make_array(signature.args[0])(context, builder, arguments[0]).data

    return signature, generate


def _copy16(_typing: Any, target: Any, at: Any, source: Any, start: Any) -> Any:
    """Copy 16 bytes from `source + start` to `target + at`; both must have them.

    Used in steps of 16 for short texts: it writes past the end of the text, into room that the next write fills.
    A byte loop costs three times as much, since the compiler must assume that the two overlap.
    """
    signature = types.void(target, types.intp, source, types.intp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        to, at, source, start = arguments
        target_at = builder.bitcast(builder.gep(to, [at]), _VECTOR.as_pointer())
        source_at = builder.bitcast(builder.gep(source, [start]), _VECTOR.as_pointer())
        builder.store(builder.load(source_at, align=1), target_at, align=1)
        return context.get_dummy_value()

    return signature, generate


def _digest(
    _typing: Any,
    begin: Any,
    update: Any,
    end: Any,
    state: Any,
    data: Any,
    start: Any,
    length: Any,
    out: Any,
    at: Any,
) -> Any:
    """Call a C library's begin(state), update(state, data + start, length), end(out + at, state) by their addresses."""
    address = types.int64
    signature = types.void(address, address, address, state, data, address, address, out, address)

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(64)
        begin, update, end, state, data, start, length, out, at = arguments
        state, data, out = (builder.bitcast(value, byte) for value in (state, data, out))
        for function, parameters, values in (
            (begin, [byte], [state]),
            (update, [byte, byte, number], [state, builder.gep(data, [start]), length]),
            (end, [byte, byte], [builder.gep(out, [at]), state]),
        ):
            kind = ir.FunctionType(ir.IntType(32), parameters)
            builder.call(builder.inttoptr(function, kind.as_pointer()), values)
        return _context.get_dummy_value()

    return signature, generate


# Any on purpose: numba passes the first argument itself, and gives kernels bare pointers that Python has no type for
pointer: Any = intrinsic(_pointer)
copy16: Any = intrinsic(_copy16)
digest: Any = intrinsic(_digest)
