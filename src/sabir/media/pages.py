"""The pages under `/upload/`."""

from collections.abc import Sequence
from functools import partial

from sabir.core.services.media import Media
from sabir.gateway.files import PATH
from sabir.gateway.web import Page
from sabir.media import downloads, uploads
from sabir.media.disk import Disk


def pages(media: Media, disk: Disk) -> Sequence[Page]:
    """Return the pages; web pages of other sites may use them, for that is where web clients live."""
    return (
        Page(path=PATH, serve=partial(downloads.get, media, disk), cors=True),
        Page(
            path=PATH,
            serve=partial(uploads.put, media, disk),
            methods=("PUT",),
            max_body_bytes=media.config.max_file_bytes,
            in_pieces=True,
            cors=True,
        ),
    )
