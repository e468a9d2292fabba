"""The servers that can be measured, one small adapter each."""

from typing import Final

from bench.servers import ejabberd, inspircd, mosquitto, ngircd, prosody, sabir
from bench.servers.contract import Server

SERVERS: Final[tuple[Server, ...]] = (
    sabir.SABIR,
    ejabberd.EJABBERD,
    ejabberd.EJABBERD_SQL,
    prosody.PROSODY,
    prosody.PROSODY_SQL,
    inspircd.INSPIRCD,
    ngircd.NGIRCD,
    mosquitto.MOSQUITTO,
)
