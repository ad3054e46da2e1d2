"""`python relay.py PORT`: joins stdin and stdout to a TCP port of this machine, until both end.

qemu's user networking starts one for each connection of a VM to the metadata address.
"""

import os
import socket
import sys
import threading


def main(port: int) -> None:
    """Copy both ways."""
    with socket.create_connection(("127.0.0.1", port)) as far:

        def inward() -> None:
            while data := os.read(0, 65536):
                far.sendall(data)
            far.shutdown(socket.SHUT_WR)

        threading.Thread(target=inward, daemon=True).start()
        while data := far.recv(65536):
            os.write(1, data)


if __name__ == "__main__":
    main(int(sys.argv[1]))
