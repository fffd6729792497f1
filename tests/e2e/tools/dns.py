#!/usr/bin/env python3
# A DNS server for tests: knows the names of a file like /etc/hosts, read again at each question, and no other. Prints who asks for
# which.
#   dns.py ADDRESS FILE
import ipaddress
import socket
import struct
import sys


def serve(address, lookup):
    """lookup(name): the addresses of a name, packed; None when there is no such name."""
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((address, 53))
    while True:
        query, peer = s.recvfrom(512)
        end = query.index(0, 12) + 5  # the name, its type and class
        question, kind = query[12:end], struct.unpack(">H", query[end - 4:end - 2])[0]
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode().lower())
            at += 1 + query[at]
        known = lookup(".".join(labels))
        print(peer[0], ".".join(labels), flush=True)
        data = [d for d in known or [] if len(d) == {1: 4, 28: 16}.get(kind)]
        answers = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(d)) + d for d in data)
        head = query[:2] + struct.pack(">HHHHH", 0x8183 if known is None else 0x8180, 1, len(data), 0, 0)
        s.sendto(head + question + answers, peer)


def in_file(path):
    def lookup(name):
        lines = [line.split() for line in open(path)]
        return [ipaddress.ip_address(words[0]).packed for words in lines if name in words[1:]] or None
    return lookup


if __name__ == "__main__":
    serve(sys.argv[1], in_file(sys.argv[2]))
