"""Sockets: the address, and one clear line for each reason that there is none."""

import asyncio
import socket

import pytest

from capsmith.core.errors import ConfigError
from capsmith.deploy.serving.listening import address_of, is_loopback, listen


def close(sockets):
    for one in sockets:
        one.close()


def test_port_0_finds_a_free_port():
    sockets = listen("127.0.0.1", 0)
    try:
        port = sockets[0].getsockname()[1]
        assert port > 0 and address_of(sockets) == f"http://127.0.0.1:{port}" and is_loopback(sockets)
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass
    finally:
        close(sockets)


def test_all_addresses_of_a_name_have_the_same_port():
    sockets = listen("localhost", 0)
    try:
        assert len({one.getsockname()[1] for one in sockets}) == 1 and is_loopback(sockets)
        assert address_of(sockets).startswith(("http://127.0.0.1:", "http://[::1]:"))
    finally:
        close(sockets)


def test_the_address_of_all_interfaces_is_shown_as_one_that_a_browser_opens():
    sockets = listen("0.0.0.0", 0)
    try:
        assert address_of(sockets).startswith("http://127.0.0.1:") and not is_loopback(sockets)
    finally:
        close(sockets)


def test_a_port_in_use_is_one_line():
    sockets = listen("127.0.0.1", 0)
    try:
        port = sockets[0].getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} of 127.0.0.1 is in use") as error:
            listen("127.0.0.1", port)
        assert "\n" not in str(error.value)
    finally:
        close(sockets)


@pytest.mark.parametrize(
    "host", ["no-such-host.invalid", "256.1.1.1", "203.0.113.7", "a" * 300, "ho st", "\x1b[2J", "é" * 70]
)
def test_a_host_that_is_not_of_this_machine_is_one_line(host):
    with pytest.raises(ConfigError, match="--host") as error:
        listen(host, 0)
    assert "\n" not in str(error.value) and "\x1b" not in str(error.value)


@pytest.mark.parametrize("port", [-1, 65_536, 10**9])
def test_a_port_out_of_range_is_refused(port):
    with pytest.raises(ConfigError, match="--port"):
        listen("127.0.0.1", port)


def test_connections_send_without_delay():
    """Head and body of an answer are two packets: with Nagle's algorithm, the second would wait for 40 ms."""

    async def accepted():
        delays = []

        class Protocol(asyncio.Protocol):
            def connection_made(self, transport):
                connection = transport.get_extra_info("socket")
                delays.append(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
                transport.close()

        sockets = listen("127.0.0.1", 0)
        server = await asyncio.get_running_loop().create_server(Protocol, sock=sockets[0])
        reader, writer = await asyncio.open_connection(*sockets[0].getsockname())
        await reader.read()
        writer.close()
        server.close()
        return delays

    (delay,) = asyncio.run(accepted())
    assert delay != 0
