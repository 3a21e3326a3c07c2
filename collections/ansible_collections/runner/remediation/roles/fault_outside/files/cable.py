#!/usr/bin/python3 -I
"""A cable of bad quality: what goes through one port of a bridge is delayed or lost, for a while.

The port is taken out of its bridge, a pair of interfaces takes its place, and this program hands
every frame over between the two. Kernels without a scheduler that delays packets can do no more.
When the time is up, or on SIGTERM, the port is put back.
"""

import argparse
import heapq
import json
import random
import select
import signal
import socket
import subprocess
import sys
import time

ETH_P_ALL = 0x0003
SOL_PACKET = 263
PACKET_VNET_HDR = 15  # checksums and sizes that the kernel has not finished travel along
PACKET_IGNORE_OUTGOING = 23
LARGEST = 70_000


def ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"ip {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def bridge_of(port):
    (link,) = json.loads(ip("-json", "link", "show", "dev", port))
    return link.get("master") or sys.exit(f"{port} is in no bridge")


def opened(interface):
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    end.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    end.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    end.bind((interface, ETH_P_ALL))
    end.setblocking(False)
    return end


def insert(port, bridge):
    """Put the cable between port and bridge. The port must not answer for the bridge itself."""
    ip("link", "add", "drill-a", "type", "veth", "peer", "name", "drill-b")
    ip("link", "set", "drill-b", "arp", "off", "up")
    ip("link", "set", port, "nomaster")
    ip("link", "set", port, "arp", "off")
    ip("link", "set", "drill-a", "master", bridge, "up")


def remove(port, bridge):
    ip("link", "del", "drill-a")
    ip("link", "set", port, "arp", "on")
    ip("link", "set", port, "master", bridge)


def hand_over(port, until, delay, loss):
    """Frames from each end to the other, until the time is up."""
    near, far = opened(port), opened("drill-b")
    other = {near.fileno(): far, far.fileno(): near}
    ends = {near.fileno(): near, far.fileno(): far}
    waiting, number = [], 0
    poll = select.poll()
    for handle in ends:
        poll.register(handle, select.POLLIN)
    while (now := time.monotonic()) < until:
        while waiting and waiting[0][0] <= now:
            send(*heapq.heappop(waiting)[2:])
        next_one = min(waiting[0][0] if waiting else until, until)
        for handle, _ in poll.poll(max(0.0, (next_one - now) * 1000 + 0.5)):
            for frame in received(ends[handle]):
                if random.random() * 100 >= loss:
                    number += 1
                    due = time.monotonic() + delay / 1000
                    heapq.heappush(waiting, (due, number, other[handle], frame))


def received(end):
    for _ in range(64):
        try:
            yield end.recv(LARGEST)
        except OSError:
            return


def send(end, frame):
    try:
        end.send(frame)
    except OSError:
        pass  # a full queue loses a frame, as a real one does


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--delay", type=float, default=0.0, help="milliseconds, in each direction")
    parser.add_argument("--loss", type=float, default=0.0, help="percent")
    given = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    bridge = bridge_of(given.port)
    try:
        insert(given.port, bridge)
        hand_over(given.port, time.monotonic() + given.seconds, given.delay, given.loss)
    finally:
        remove(given.port, bridge)


main()
