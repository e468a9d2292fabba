"""What can be wrong with XML that arrives on a stream."""

from enum import Enum


class XmlFault(Enum):
    """The kinds of fault that a protocol words in its own way."""

    NOT_WELL_FORMED = "not well-formed"
    RESTRICTED = "comment, processing instruction, document type or entity"
    BAD_ENCODING = "not UTF-8"
    TOO_DEEP = "elements nested too deeply"
    TOO_BIG = "element too big"
    TOO_MANY = "too many attributes or elements"


class XmlError(Exception):
    """Raised for XML that cannot be accepted; `fault` says why."""

    def __init__(self, fault: XmlFault) -> None:
        super().__init__(fault.value)
        self.fault = fault
