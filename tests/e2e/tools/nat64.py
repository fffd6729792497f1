#!/usr/bin/env python3
# A network with IPv6 only, for tests: a DNS server that knows ipv4only.arpa (RFC 7050), and a stateless translator of UDP
# (RFC 7915) between a prefix (RFC 6052) and IPv4, where the one client that it sees is 192.0.2.200. Without a prefix the DNS
# server answers that there is no such name.
#   nat64.py dns ADDRESS [PREFIX/LENGTH] | nat64.py translate DEVICE PREFIX/LENGTH
import fcntl
import ipaddress
import os
import socket
import struct
import sys

from dns import serve

OUTSIDE = ipaddress.IPv4Address("192.0.2.200").packed


def embed(prefix, v4):
    """The IPv4 address in the prefix: around byte 8, which is zero (RFC 6052, 2.2)."""
    net = ipaddress.IPv6Network(prefix)
    inside = bytearray(net.network_address.packed)
    places = [i for i in range(net.prefixlen // 8, 16) if i != 8][:4]
    for place, byte in zip(places, v4):
        inside[place] = byte
    return bytes(inside)


def extract(prefix, v6):
    places = [i for i in range(ipaddress.IPv6Network(prefix).prefixlen // 8, 16) if i != 8][:4]
    v4 = bytes(v6[i] for i in places)
    return v4 if embed(prefix, v4) == v6 else None


def dns(address, prefix=None):
    names = [bytes([192, 0, 0, n]) for n in (170, 171)] if prefix else None
    if prefix:
        names += [embed(prefix, v4) for v4 in names]
    serve(address, lambda name: names if name == "ipv4only.arpa" else None)


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def with_udp_checksum(pseudo, udp):
    bare = udp[:6] + b"\0\0" + udp[8:]
    return udp[:6] + struct.pack(">H", checksum(pseudo + bare) or 0xFFFF) + udp[8:]


def translate(device, prefix):
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH", device.encode(), 0x1001))  # TUNSETIFF: IFF_TUN | IFF_NO_PI
    inside = None
    while True:
        p = os.read(tun, 2048)
        to = extract(prefix, p[24:40]) if p[0] >> 4 == 6 and p[6] == 17 else None
        if to:
            inside, udp = p[8:24], p[40:]
            udp = with_udp_checksum(OUTSIDE + to + struct.pack(">HH", 17, len(udp)), udp)
            head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0x4000, p[7] - 1, 17, 0) + OUTSIDE + to
            os.write(tun, head[:10] + struct.pack(">H", checksum(head)) + head[12:] + udp)
        elif p[0] == 0x45 and p[9] == 17 and p[16:20] == OUTSIDE and inside:
            source, udp = embed(prefix, p[12:16]), p[20:]
            udp = with_udp_checksum(source + inside + struct.pack(">II", len(udp), 17), udp)
            os.write(tun, struct.pack(">IHBB", 0x60000000, len(udp), 17, p[8] - 1) + source + inside + udp)


if __name__ == "__main__":
    {"dns": dns, "translate": translate}[sys.argv[1]](*sys.argv[2:])
