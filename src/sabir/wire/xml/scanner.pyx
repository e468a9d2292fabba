# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""One pass over one element that proves it well-formed, or leaves it to the exact parser.

The scanner knows a strict subset of XML: names without prefix in ASCII, quoted attribute values, the five predefined
entities, balanced tags. Whatever lies outside (prefixes, CDATA, character references, comments, reserved
namespaces, duplicate attributes, more than 64 levels...) is SLOW: never accepted, never refused here.
tests/fuzz proves that it accepts nothing that expat refuses.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memchr, memcmp, memcpy

cdef extern from "Python.h":
    object PyUnicode_DecodeUTF8(const char *text, Py_ssize_t size, const char *errors)

cdef enum:
    DEPTH = 64
    ATTRIBUTES = 32
    ELEMENTS = 10000
    NAME_START = 1
    NAME = 2
    SPACE = 4
    PLAIN = 8

cdef unsigned char KIND[256]
cdef int code
for code in range(256):
    KIND[code] = 0
for code in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_":
    KIND[code] = NAME_START | NAME
for code in b"0123456789.-":
    KIND[code] = NAME
for code in b" \t\r\n":
    KIND[code] = SPACE
# What means nothing in text or in a value. Loops over one kind watch no bound: bytes end with a zero, which has none.
for code in range(32, 128):
    if code not in b"<>&'\"":
        KIND[code] |= PLAIN

cdef tuple _INCOMPLETE = (-1, b"", None, None, None, None, None, b"", 0, ())
cdef tuple _SLOW = (-2, b"", None, None, None, None, None, b"", 0, ())

cdef struct Span:
    Py_ssize_t start
    Py_ssize_t end


cdef inline Py_ssize_t entity(const unsigned char *text, Py_ssize_t at, Py_ssize_t size) noexcept:
    """Return the offset after the predefined entity at `at`, -1 if it is not complete, -2 if it is another."""
    cdef Py_ssize_t left = size - at
    if left < 6 and memchr(text + at, 59, left) == NULL:
        return -1
    if left >= 4 and (memcmp(text + at, "&lt;", 4) == 0 or memcmp(text + at, "&gt;", 4) == 0):
        return at + 4
    if left >= 5 and memcmp(text + at, "&amp;", 5) == 0:
        return at + 5
    if left >= 6 and (memcmp(text + at, "&apos;", 6) == 0 or memcmp(text + at, "&quot;", 6) == 0):
        return at + 6
    return -2


cdef inline object cut(const unsigned char *text, Span span):
    return PyBytes_FromStringAndSize(<const char *> text + span.start, span.end - span.start)


cdef inline bint valid_utf8(const unsigned char *text, Py_ssize_t start, Py_ssize_t end):
    """Return whether the bytes are UTF-8 without the two characters that XML forbids above U+0020."""
    cdef Py_ssize_t at
    try:
        PyUnicode_DecodeUTF8(<const char *> text + start, end - start, NULL)
    except UnicodeDecodeError:
        return False
    for at in range(start, end - 2):
        if text[at] == 0xEF and text[at + 1] == 0xBF and text[at + 2] >= 0xBE:
            return False
    return True


def scan(bytes data not None, Py_ssize_t start):
    """Validate the element that begins at `start`; see `sabir.wire.xml.scan.Scan`."""
    cdef const unsigned char *text = <const unsigned char *> PyBytes_AS_STRING(data)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
    cdef Py_ssize_t at = start, mark, length, other, left
    cdef Py_ssize_t names[DEPTH]
    cdef Py_ssize_t lengths[DEPTH]
    cdef Span attribute_names[ATTRIBUTES]
    cdef Span kept[ATTRIBUTES]
    cdef Span value, child_name, child_xmlns, child_id
    cdef int depth = 0, elements = 0, count, kept_count = 0, index
    cdef unsigned char char, quote
    cdef bint high = False, entities
    cdef Py_ssize_t head_end = 0, child_start = 0, attribute_start, total
    cdef bytes name = b"", rest = b""
    cdef object xmlns = None, to = None, type_ = None, id_ = None, from_ = None
    cdef list children = []
    cdef char *target
    child_name.start = child_name.end = 0
    child_xmlns.start = child_xmlns.end = -1
    child_id.start = child_id.end = -1

    while True:
        # A tag begins here.
        if at >= size:
            return _INCOMPLETE
        if text[at] != 60:
            return _SLOW
        at += 1
        if at >= size:
            return _INCOMPLETE
        if text[at] == 47:
            # An end tag: it has to name the element that is open.
            at += 1
            if depth == 0:
                return _SLOW
            length = lengths[depth - 1]
            left = size - at
            if left <= length:
                return _INCOMPLETE
            if memcmp(text + at, text + names[depth - 1], length) != 0 or text[at + length] != 62:
                return _SLOW
            at += length + 1
            depth -= 1
            if depth == 0:
                break
            if depth == 1:
                children.append((
                    cut(text, child_name),
                    None if child_xmlns.start < 0 else cut(text, child_xmlns),
                    None if child_id.start < 0 else cut(text, child_id),
                    child_start,
                    at,
                ))
        else:
            # A start tag.
            elements += 1
            if not KIND[text[at]] & NAME_START or depth >= DEPTH or elements > ELEMENTS:
                return _SLOW
            mark = at
            while KIND[text[at]] & NAME:
                at += 1
            if at >= size:
                return _INCOMPLETE
            names[depth] = mark
            lengths[depth] = at - mark
            if depth == 0:
                name = PyBytes_FromStringAndSize(<const char *> text + mark, at - mark)
            elif depth == 1:
                child_start = mark - 1
                child_name.start = mark
                child_name.end = at
                child_xmlns.start = -1
                child_id.start = -1
            count = 0
            while True:
                attribute_start = at
                while KIND[text[at]] & SPACE:
                    at += 1
                if at >= size:
                    return _INCOMPLETE
                char = text[at]
                if char == 62 or char == 47:
                    break
                if at == attribute_start or not KIND[char] & NAME_START or count >= ATTRIBUTES:
                    return _SLOW
                mark = at
                while KIND[text[at]] & NAME:
                    at += 1
                if at >= size:
                    return _INCOMPLETE
                if text[at] == 58:
                    # The only prefix that is known without a declaration.
                    if size - mark < 9:
                        return _INCOMPLETE
                    if memcmp(text + mark, "xml:lang=", 9) != 0:
                        return _SLOW
                    at = mark + 8
                length = at - mark
                for index in range(count):
                    other = attribute_names[index].end - attribute_names[index].start
                    if other == length and memcmp(text + attribute_names[index].start, text + mark, length) == 0:
                        return _SLOW
                attribute_names[count].start = mark
                attribute_names[count].end = at
                count += 1
                if text[at] != 61:
                    return _SLOW
                at += 1
                if at >= size:
                    return _INCOMPLETE
                quote = text[at]
                if quote != 39 and quote != 34:
                    return _SLOW
                at += 1
                value.start = at
                entities = False
                while True:
                    while KIND[text[at]] & PLAIN:
                        at += 1
                    if at >= size:
                        return _INCOMPLETE
                    char = text[at]
                    if char == quote:
                        break
                    if char < 32 or char == 60:
                        return _SLOW
                    if char == 38:
                        entities = True
                        at = entity(text, at, size)
                        if at < 0:
                            return _INCOMPLETE if at == -1 else _SLOW
                        continue
                    if char >= 128:
                        high = True
                    at += 1
                value.end = at
                at += 1
                if length == 5 and memcmp(text + mark, "xmlns", 5) == 0:
                    # Reserved namespaces (all at www.w3.org) and odd names are for the exact parser.
                    if entities or memchr(text + value.start, 32, value.end - value.start) != NULL or (
                        value.end - value.start >= 18 and memcmp(text + value.start, "http://www.w3.org/", 18) == 0
                    ):
                        return _SLOW
                    if depth == 0:
                        xmlns = cut(text, value)
                        continue
                    if depth == 1:
                        child_xmlns = value
                elif depth == 0:
                    if quote == 34 and length <= 4 and memchr(text + value.start, 39, value.end - value.start) != NULL:
                        # An address or id that could not be written between single quotes as it stands.
                        return _SLOW
                    if length == 2 and memcmp(text + mark, "to", 2) == 0:
                        if entities:
                            return _SLOW
                        to = cut(text, value)
                        continue
                    if length == 4 and memcmp(text + mark, "from", 4) == 0:
                        if entities:
                            return _SLOW
                        from_ = cut(text, value)
                        continue
                    if length == 4 and memcmp(text + mark, "type", 4) == 0:
                        if entities:
                            return _SLOW
                        type_ = cut(text, value)
                    elif length == 2 and memcmp(text + mark, "id", 2) == 0:
                        if entities:
                            return _SLOW
                        id_ = cut(text, value)
                    kept[kept_count].start = attribute_start
                    kept[kept_count].end = at
                    kept_count += 1
                elif depth == 1 and length == 2 and memcmp(text + mark, "id", 2) == 0:
                    if entities:
                        return _SLOW
                    child_id = value
            if depth == 0:
                head_end = at
            if char == 47:
                at += 1
                if at >= size:
                    return _INCOMPLETE
                if text[at] != 62:
                    return _SLOW
                at += 1
                if depth == 0:
                    break
                if depth == 1:
                    children.append((
                        cut(text, child_name),
                        None if child_xmlns.start < 0 else cut(text, child_xmlns),
                        None if child_id.start < 0 else cut(text, child_id),
                        child_start,
                        at,
                    ))
            else:
                at += 1
                depth += 1

        # Text, up to the next tag.
        while True:
            while KIND[text[at]] & PLAIN:
                at += 1
            if at >= size:
                return _INCOMPLETE
            char = text[at]
            if char == 60:
                break
            if char == 38:
                at = entity(text, at, size)
                if at < 0:
                    return _INCOMPLETE if at == -1 else _SLOW
                continue
            if char < 32:
                if not KIND[char] & SPACE:
                    return _SLOW
            elif char == 62:
                if at >= 2 and text[at - 1] == 93 and text[at - 2] == 93:
                    return _SLOW
            elif char >= 128:
                high = True
            at += 1

    if high and not valid_utf8(text, start, at):
        return _SLOW
    if kept_count:
        total = 0
        for index in range(kept_count):
            total += kept[index].end - kept[index].start
        rest = PyBytes_FromStringAndSize(NULL, total)
        target = PyBytes_AS_STRING(rest)
        for index in range(kept_count):
            length = kept[index].end - kept[index].start
            memcpy(target, text + kept[index].start, length)
            target += length
    return (at, name, xmlns, to, type_, id_, from_, rest, head_end, tuple(children))
