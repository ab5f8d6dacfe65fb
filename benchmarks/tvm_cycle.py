"""What a TVM RPC tracker takes to lend a device, run a trivial function on it and get it back; for dispatch.py.

python3 -m venv build/tvm && build/tvm/bin/pip install apache-tvm tornado psutil cloudpickle
build/tvm/bin/python benchmarks/tvm_cycle.py 100

Tracker, server and client on loopback, one device that nobody else wants. Prints milliseconds as one JSON list.
"""

import json
import os
import sys
import time

import tvm
from tvm import rpc
from tvm.rpc.server import Server
from tvm.rpc.tracker import Tracker

HOST, KEY = "127.0.0.1", "device"
# A function that every Python server of TVM registers; it joins two paths.
TRIVIAL = "tvm.rpc.server.workpath"


def cycle_ms(connection: "rpc.TrackerSession") -> float:
    begin_s = time.perf_counter()
    session = connection.request(KEY, session_timeout=30)
    function = session.get_function(TRIVIAL)
    function("x")
    del function, session
    return (time.perf_counter() - begin_s) * 1000.0


def main() -> None:
    tracker = Tracker(host=HOST, port=19190, port_end=19290, silent=True)
    server = Server(
        host=HOST, port=19291, port_end=19390, key=KEY, tracker_addr=(HOST, tracker.port), silent=True
    )
    connection = rpc.connect_tracker(HOST, tracker.port)
    cycle_ms(connection)
    spans_ms = [cycle_ms(connection) for _ in range(int(sys.argv[1]))]
    print(json.dumps({"version": tvm.__version__, "cycles_ms": spans_ms}), flush=True)
    server.terminate()
    tracker.terminate()
    os._exit(0)  # its threads would keep the process


if __name__ == "__main__":
    main()
