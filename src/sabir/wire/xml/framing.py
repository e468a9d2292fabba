"""Finding where a top-level element ends, while its bytes arrive in pieces of any size.

The framer looks at each byte once, however small the pieces are, and proves nothing else: the frame that
it finds still has to pass `scan` or `parse`. What no stanza may contain ends the search at once.
"""

import codecs
import re
from typing import Final

from sabir.wire.xml.errors import XmlError, XmlFault

MAX_DEPTH: Final = 64
"""Elements nested deeper than this are refused."""

_TEXT: Final = 0
_START_TAG: Final = 1
_END_TAG: Final = 2
_SINGLE_QUOTED: Final = 3
_DOUBLE_QUOTED: Final = 4
_CDATA: Final = 5

_IN_TAG: Final = re.compile(rb"[<>'\"]")
_IN_SINGLE: Final = re.compile(rb"[<']")
_IN_DOUBLE: Final = re.compile(rb'[<"]')
_IN_END_TAG: Final = re.compile(rb"[<>]")
_NAME: Final = re.compile(rb"[^\s/>]+")
_CDATA_START: Final = b"<![CDATA["


class Framer:
    """Searches one buffer for the end of the element that begins at `start`."""

    __slots__ = ("_at", "_checked", "_mode", "_names", "_tag_at")

    def __init__(self, start: int) -> None:
        self._at: int = start
        self._checked: int = start
        self._names: list[bytes] = []
        self._tag_at: int = start
        self._mode: int = _TEXT

    def find_end(self, data: bytes | bytearray) -> int:
        """Return the offset just after the element, or -1 when more bytes are needed.

        `data` is the same buffer as before with new bytes at its end.

        Raises:
            XmlError: if what has arrived cannot become an acceptable element.
        """
        end = self._find_end(data)
        if end < 0:
            self._check_encoding(data)
        return end

    def _find_end(self, data: bytes | bytearray) -> int:
        while self._at < len(data):
            mode = self._mode
            if mode == _TEXT:
                if not self._text(data):
                    return -1
            elif mode == _START_TAG:
                if end := self._start_tag(data):
                    return end
            elif mode == _END_TAG:
                if end := self._end_tag(data):
                    return end
            elif mode == _CDATA:
                if not self._cdata(data):
                    return -1
            else:
                self._quoted(data)
        return -1

    def find_start_tag_end(self, data: bytes | bytearray) -> int:
        """Return the offset just after the first start tag (of a stream, whose end tag comes last), or -1.

        Raises:
            XmlError: as `find_end`.
        """
        end = self._find_start_tag_end(data)
        if end < 0:
            self._check_encoding(data)
        return end

    def _find_start_tag_end(self, data: bytes | bytearray) -> int:
        while self._at < len(data):
            mode = self._mode
            if mode == _TEXT:
                if not self._text(data):
                    return -1
            elif mode == _START_TAG:
                self._start_tag(data)
                if self._mode == _TEXT:
                    return self._at
            elif mode in (_END_TAG, _CDATA):
                raise XmlError(XmlFault.NOT_WELL_FORMED)
            else:
                self._quoted(data)
        return -1

    def _check_encoding(self, data: bytes | bytearray) -> None:
        """Refuse bytes that are not UTF-8 as soon as they arrive, not when the element is complete."""
        try:
            _, used = codecs.utf_8_decode(data[self._checked :], "strict", False)
        except UnicodeDecodeError:
            raise XmlError(XmlFault.BAD_ENCODING) from None
        self._checked += used

    def _text(self, data: bytes | bytearray) -> bool:
        at = data.find(b"<", self._at)
        if at < 0:
            self._at = len(data)
            return False
        self._at = at
        if at + 1 >= len(data):
            return False
        following = data[at + 1]
        if following == 0x2F:
            self._mode = _END_TAG
            self._at = self._tag_at = at + 2
        elif following == 0x3F:
            raise XmlError(XmlFault.RESTRICTED)
        elif following == 0x21:
            return self._markup_declaration(data, at)
        else:
            self._mode = _START_TAG
            self._at = self._tag_at = at + 1
        return True

    def _markup_declaration(self, data: bytes | bytearray, at: int) -> bool:
        if data.startswith(_CDATA_START, at) and self._names:
            self._mode = _CDATA
            self._at = at + len(_CDATA_START)
            return True
        if self._names and _CDATA_START.startswith(data[at : at + len(_CDATA_START)]):
            return False
        raise XmlError(XmlFault.RESTRICTED)

    def _start_tag(self, data: bytes | bytearray) -> int:
        found = _IN_TAG.search(data, self._at)
        if found is None:
            self._at = len(data)
            return 0
        at = found.start()
        self._at = at + 1
        char = data[at]
        if char == 0x27:
            self._mode = _SINGLE_QUOTED
        elif char == 0x22:
            self._mode = _DOUBLE_QUOTED
        elif char == 0x3C:
            raise XmlError(XmlFault.NOT_WELL_FORMED)
        else:
            self._mode = _TEXT
            if data[at - 1] != 0x2F:
                name = _NAME.match(data, self._tag_at)
                self._names.append(b"" if name is None else bytes(name[0]))
                if len(self._names) > MAX_DEPTH:
                    raise XmlError(XmlFault.TOO_DEEP)
            elif not self._names:
                return self._at
        return 0

    def _end_tag(self, data: bytes | bytearray) -> int:
        found = _IN_END_TAG.search(data, self._at)
        if found is None:
            self._at = len(data)
            return 0
        self._at = found.end()
        # Refused here already: a client that waits for an answer to `<a><b></a>` gets it at once.
        if not self._names or data[self._tag_at : self._at - 1].rstrip() != self._names.pop():
            raise XmlError(XmlFault.NOT_WELL_FORMED)
        if data[self._at - 1] == 0x3C:
            raise XmlError(XmlFault.NOT_WELL_FORMED)
        self._mode = _TEXT
        return 0 if self._names else self._at

    def _quoted(self, data: bytes | bytearray) -> None:
        wanted = _IN_SINGLE if self._mode == _SINGLE_QUOTED else _IN_DOUBLE
        found = wanted.search(data, self._at)
        if found is None:
            self._at = len(data)
            return
        self._at = found.end()
        if data[self._at - 1] == 0x3C:
            raise XmlError(XmlFault.NOT_WELL_FORMED)
        self._mode = _START_TAG

    def _cdata(self, data: bytes | bytearray) -> bool:
        at = data.find(b"]]>", self._at)
        if at < 0:
            # Two brackets may be the beginning of the end, so they are looked at again.
            self._at = max(self._at, len(data) - 2)
            return False
        self._at = at + 3
        self._mode = _TEXT
        return True
