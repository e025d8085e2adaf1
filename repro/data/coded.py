"""The entropy-coded bits of a JPEG, compiled: read to see where its MCUs begin, copied for a part.

For `repro.data.jpegs`. Below, `file` is a file with `PAD` behind, uint8; `noted` its marks, int16
[N, 4]; `components`, int64 [components, 3], tells of each how many blocks of it are in an MCU, and
where in the file its Huffman tables for DC and for AC coefficients are.

Functions trust neither files nor marks: they read within the file, or in the PAD behind. A place
among the bits is 8 x the number of a byte in the file, + that of a bit in the byte. Behind each
byte of 255 stands a stuffed zero, over which they step.

Numba keeps what it compiled, and compiles anew when this file changes, but not when another one
does: so nothing here calls a function that another file compiles.
"""

from collections.abc import Callable

import numba
import numpy as np

LONGEST = 16  # bits of a code
SHORT = 8  # bits of the codes that are looked up
HIGHEST = 2**14  # DC coefficient; those of real photographs have 11 bits and a sign
PAD = bytes(16)  # codes are read ahead
END = 0xD9  # of a file, behind 255


def compiled(function: Callable) -> Callable:
    """The function, compiled when it is first called with such arguments."""
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # no folder to keep what was compiled
        return numba.njit(nogil=True)(function)


@compiled
def _tables(file, components):
    """What decodes DC and AC symbols of each component: int32 [components, 2, 256 + 2 x 16].

    First, for each 8 bits: the length of the code that they begin with x 256, + its symbol; 0 where
    they begin a longer one. Then for each length what its codes, as 16 bits, are below. Then what
    is to be added to a code of this length for the place of its symbol.
    """
    decoders = np.zeros((len(components), 2, 256 + 2 * LONGEST), np.int32)
    for component in range(len(components)):
        for kind in range(2):
            table, place = decoders[component, kind], components[component, 1 + kind]
            if component and place == components[component - 1, 1 + kind]:
                table[:] = decoders[component - 1, kind]
                continue
            code, symbol = 0, place + LONGEST
            for length in range(1, LONGEST + 1):
                for _ in range(file[place + length - 1]):
                    if length <= SHORT:
                        first = code << (SHORT - length)
                        for i in range(first, min(256, first + (1 << (SHORT - length)))):
                            table[i] = length << 8 | file[symbol]
                    code += 1
                    symbol += 1
                if code > 1 << length:  # more codes than fit: none holds
                    table[:] = 0
                    break
                table[255 + length] = code << (LONGEST - length)
                table[255 + LONGEST + length] = symbol - code
                code <<= 1
    return decoders


@compiled
def _word(file, place):
    """Eight bytes."""
    word = np.uint64(0)
    for i in range(8):
        word |= np.uint64(file[place + i]) << np.uint64(56 - 8 * i)
    return word


@compiled
def _has_255(word):
    """Whether one of its bytes is 255, as in Warren, Hacker's Delight, section 6-1."""
    word = ~word
    return (word - np.uint64(0x0101010101010101)) & ~word & np.uint64(0x8080808080808080) != 0


@compiled
def _next(file, at):
    """The next 16 bits."""
    place = at >> 3
    word = _word(file, place)
    if not _has_255(word):
        return np.int64(word >> np.uint64(48 - (at & 7)) & np.uint64(0xFFFF))
    bits = np.int64(0)
    for _ in range(3):
        byte = file[place]
        bits = bits << 8 | byte
        place += 2 if byte == 255 else 1
    return bits >> (8 - (at & 7)) & 0xFFFF


@compiled
def _behind(file, at, length):
    """The place `length` bits behind `at`; up to 31."""
    place, bit = at >> 3, (at & 7) + length
    if not _has_255(_word(file, place)):
        return at + length
    while bit >= 8:
        place += 2 if file[place] == 255 else 1
        bit -= 8
    return place << 3 | bit


@compiled
def _symbol(file, table, bits):
    """The symbol whose code these 16 bits begin with, and the length of the code; 0 for none."""
    entry = table[bits >> (LONGEST - SHORT)]
    if entry:
        return np.int64(entry & 255), np.int64(entry >> 8)
    for length in range(SHORT + 1, LONGEST + 1):
        if bits < table[255 + length]:
            place = (bits >> (LONGEST - length)) + table[255 + LONGEST + length]
            return np.int64(file[place]), np.int64(length)
    return np.int64(0), np.int64(0)


@compiled
def _dc(file, table, at):
    """The difference of a DC coefficient, and the place behind; 0 where there is none."""
    size, length = _symbol(file, table, _next(file, at))
    if length == 0 or size > 11:
        return np.int64(0), np.int64(0)
    at = _behind(file, at, length)
    if size == 0:
        return np.int64(0), at
    value = _next(file, at) >> (16 - size)
    if value < 1 << (size - 1):
        value -= (1 << size) - 1
    return value, _behind(file, at, size)


@compiled
def _behind_ac(file, table, at, end):
    """The place behind the AC coefficients of a block; 0 where they have no end."""
    number = 1
    while number < 64 and at <= end:
        symbol, length = _symbol(file, table, _next(file, at))
        if length == 0:
            return np.int64(0)
        at = _behind(file, at, length + (symbol & 15))
        if symbol & 15 == 0 and symbol != 0xF0:  # end of block, as libjpeg takes it
            break
        number += (symbol >> 4) + 1
    return at


@compiled
def note(file, components, noted, layout):
    """Fills `noted`; whether all MCUs are there.

    layout: the first coded byte, the end of the file, rows and columns of MCUs, and how many of a
    row have one mark.
    """
    first, size, rows, columns, mcus_a_mark = layout
    tables = _tables(file, components)
    predictors = np.zeros(len(components), np.int64)
    at = before = np.int64(8 * first)
    mark = 0
    for _row in range(rows):
        for column in range(columns):
            if column % mcus_a_mark == 0:
                noted[mark, 0], before = at - before, at
                noted[mark, 1 : 1 + len(components)] = predictors
                mark += 1
            for component in range(len(components)):
                for _block in range(components[component, 0]):
                    difference, at = _dc(file, tables[component, 0], at)
                    predictors[component] += difference
                    if 0 < at <= 8 * size:
                        at = _behind_ac(file, tables[component, 1], at, 8 * size)
                    if not 0 < at <= 8 * size or abs(predictors[component]) > HIGHEST:
                        return False
    noted[mark, 0] = at - before
    noted[mark, 1 : 1 + len(components)] = predictors
    return True


@compiled
def _put(made, place, pending, count, value, length):
    """Writes `length` bits behind the `count` ones that are pending; less than a byte remains."""
    pending, count = pending << length | value, count + length
    while count >= 8:
        count -= 8
        byte = pending >> count & 255
        made[place] = byte
        place += 1
        if byte == 255:
            made[place] = 0
            place += 1
    return place, pending & 255, count


@compiled
def _copy(file, at, end, made, place, pending, count):
    """Writes the bits from `at` to `end` (exclusive)."""
    source, last = at >> 3, end >> 3
    if source == last:
        length = end - at
        bits = file[source] >> (8 - (end & 7)) & ((1 << length) - 1)
        return _put(made, place, pending, count, bits, length)
    length = 8 - (at & 7)
    bits = file[source] & ((1 << length) - 1)
    place, pending, count = _put(made, place, pending, count, bits, length)
    source += 2 if file[source] == 255 else 1
    while source < last:
        if source + 8 <= last:
            word = _word(file, source)
            bits = word >> np.uint64(count)
            if count:
                bits |= np.uint64(pending) << np.uint64(64 - count)
            if not (_has_255(word) or _has_255(bits)):
                for i in range(8):
                    made[place + i] = bits >> np.uint64(56 - 8 * i) & np.uint64(255)
                pending = np.int64(word & np.uint64((1 << count) - 1))
                source, place = source + 8, place + 8
                continue
        byte = np.int64(file[source])
        place, pending, count = _put(made, place, pending, count, byte, 8)
        source += 2 if byte == 255 else 1
    length = end & 7
    return _put(made, place, pending, count, file[last] >> (8 - length), length)


@compiled
def _code_of(file, place, symbol):
    """The code of a symbol in the table at `place`, and its length; 0 where it has none."""
    code, number = 0, place + LONGEST
    for length in range(1, LONGEST + 1):
        for _ in range(file[place + length - 1]):
            if file[number] == symbol:
                return code, length
            code, number = code + 1, number + 1
        code <<= 1
    return 0, 0


@compiled
def cut(file, components, noted, layout, made):
    """Writes the coded bytes of a part into `made`; where they end, 0 where it cannot be cut.

    layout: the first coded byte, the end of the file, marks in a row, and the first and the last
    (exclusive) row and mark of a row that are wanted.
    """
    first, size, across, top, bottom, left, right = layout
    tables = _tables(file, components)
    predictors = np.zeros(len(components), np.int64)
    place = np.int64(first)
    pending, count = np.int64(0), np.int64(0)
    here, mark = 8 * place, 0
    for row in range(top, bottom):
        begin, end = row * across + left, row * across + right
        at = here
        while mark <= end:
            if noted[mark, 0] < 0:
                return 0
            here += noted[mark, 0]
            if mark == begin:
                at = here
            mark += 1
        if here > 8 * size:
            return 0
        for component in range(len(components)):
            difference, behind = _dc(file, tables[component, 0], at)
            difference += noted[begin, 1 + component] - predictors[component]
            predictors[component] = noted[end, 1 + component]
            length = 0
            while abs(difference) >> length:
                length += 1
            code, bits = _code_of(file, components[component, 1], length)
            if behind == 0 or bits == 0 or length > 11:
                return 0
            if difference < 0:
                difference += (1 << length) - 1
            place, pending, count = _put(made, place, pending, count, code, bits)
            place, pending, count = _put(made, place, pending, count, difference, length)
            at = behind
            for block in range(components[component, 0]):
                if block:
                    behind = _dc(file, tables[component, 0], behind)[1]
                if 0 < behind <= here:
                    behind = _behind_ac(file, tables[component, 1], behind, here)
                if not at <= behind <= here:
                    return 0
            place, pending, count = _copy(file, at, behind, made, place, pending, count)
            at = behind
        place, pending, count = _copy(file, at, here, made, place, pending, count)
    place, pending, count = _put(made, place, pending, count, 127, 7)  # ones fill the last byte
    made[place], made[place + 1] = 255, END
    return place + 2
