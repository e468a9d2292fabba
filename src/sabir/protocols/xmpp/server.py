"""The XMPP front end: its listeners, and what its streams share."""

import logging
import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from sabir.base.log import bind
from sabir.gateway.contract import Counters, Door, Environment
from sabir.gateway.web import Offer, Socket
from sabir.net.connection import Connection, Handler
from sabir.net.listener import Tls
from sabir.protocols.xmpp import hostmeta, welcome
from sabir.protocols.xmpp.config import XmppConfig
from sabir.protocols.xmpp.features import push
from sabir.protocols.xmpp.features.capabilities import KnownCapabilities
from sabir.protocols.xmpp.features.chat import PROTOCOL
from sabir.protocols.xmpp.features.context import Place
from sabir.protocols.xmpp.features.dialogues import Dialogues
from sabir.protocols.xmpp.features.errands import Errands
from sabir.protocols.xmpp.features.pubsub import avatars, bookmarks, displayed, service
from sabir.protocols.xmpp.federation.office import Office, is_enabled, links_of, pubsub_domain_of
from sabir.protocols.xmpp.framing import declared
from sabir.protocols.xmpp.session import Hub, Stream
from sabir.protocols.xmpp.session.binding import PATH, Adopt, Binding
from sabir.protocols.xmpp.translate import XmppTranslator

WEBSOCKET_PATHS: Final = ("/xmpp-websocket", "/ws")

log = logging.getLogger(__name__)

COMPONENT: Final = "xmpp-component"


class XmppFrontEnd:
    """See `gateway.contract.FrontEnd`."""

    protocol: Final = PROTOCOL

    def __init__(self, config: XmppConfig, environment: Environment) -> None:
        self.counters = Counters(PROTOCOL)
        if environment.plain_logins:
            config = replace(config, require_tls=False)
        links = links_of(config, environment, bind(log))
        place = Place(
            domain=environment.domain,
            rooms_domain=environment.rooms_domain,
            version=environment.version,
            config=config,
            services=environment.services,
            public=environment.public,
            started_ms=environment.started_ms,
            operators=environment.operators,
            contacts=environment.contacts,
            push_domain=f"push.{environment.domain}",
            upload_domain=f"upload.{environment.domain}",
            pubsub_domain=pubsub_domain_of(config, environment),
            waker=environment.waker,
            errands=Errands(environment.services, links, secrets.token_hex(4)),
            dialogues=Dialogues(secrets.token_hex(4)),
            capabilities=KnownCapabilities(),
            abroad=links,
        )
        self._hub = Hub(config, environment, place, self.counters, secrets.token_bytes, bind(log))
        service.open_at(place)
        environment.services.pubsub.observers += (bookmarks.observer(place), avatars.Pictures(place).observe)
        environment.services.reads.observers.append(displayed.observer(place))
        environment.services.contents.register(PROTOCOL, XmppTranslator(environment.services.people))
        environment.services.pushes.gateways[PROTOCOL] = push.Gateway(
            place, with_sender=environment.push_sender
        )
        self._office: Office | None = None
        self._federates: Final = is_enabled(config, environment.domain)
        if self._federates or config.components:
            self._office = Office(links, place, environment, self.counters, secrets.token_bytes, bind(log))

    def doors(self) -> Sequence[Door]:
        """See `FrontEnd.doors`."""
        asks = self._hub.config.client_certificates
        doors = [
            Door(name="xmpp", port=5222, tls=Tls.STARTTLS, asks_certificate=asks),
            # XEP-0368 §4
            Door(
                name="xmpp-tls",
                port=5223,
                tls=Tls.DIRECT,
                alpn=("xmpp-client",),
                asks_certificate=asks,
            ),
        ]
        if self._hub.config.components:
            doors.append(Door(name=COMPONENT, port=5347, tls=Tls.NONE, servers=True))
        if self._federates:
            alpn = ("xmpp-server",)
            doors += (
                Door(name="xmpp-s2s", port=5269, tls=Tls.STARTTLS, servers=True),
                Door(name="xmpp-s2s-tls", port=5270, tls=Tls.DIRECT, alpn=alpn, servers=True),
            )
        return doors

    def connect(self, connection: Connection, door: Door) -> Handler:
        """See `FrontEnd.connect`."""
        if self._office is not None and door.servers:
            if door.name == COMPONENT:
                return self._office.component(connection)
            return self._office.incoming(connection)
        return Stream(self._hub, connection)

    def offers(self, adopt: Adopt) -> Sequence[Offer]:
        """Return what XMPP has for the listeners `http` and `https`.

        Args:
            adopt: takes in a connection that is none of a listener (`Gateway.adopt`).
        """
        sockets = [
            Socket(
                path=path,
                protocol="xmpp",  # RFC 7395 §3.1
                front_end=self,
                connect=lambda connection: Stream(self._hub, connection, framed=True),
                max_message_bytes=self._hub.config.max_stanza_bytes,
                dress=declared,
            )
            for path in WEBSOCKET_PATHS
        ]
        told = {hostmeta.WEBSOCKET: WEBSOCKET_PATHS[0], hostmeta.BOSH: PATH}
        needs_tls = self._hub.config.require_tls
        environment = self._hub.environment
        return [
            *sockets,
            Binding(self._hub, adopt).page(),
            *hostmeta.pages(environment.public, told, needs_tls=needs_tls),
            *welcome.pages(environment.services.vouchers, environment.domain),
        ]


def federates(config: XmppConfig, domain: str) -> bool:
    """Return whether the server of `domain` talks with others."""
    return is_enabled(config, domain)


def front_end(config: XmppConfig, environment: Environment) -> XmppFrontEnd:
    """Return the XMPP front end over the services of `environment`."""
    return XmppFrontEnd(config, environment)
