"""Books what lies in a folder, file by file, until it is told to end.

Each entry is an action of its own, under a permit. Each look into the folder is progress: a daemon that hangs shows none,
and the log notices.
"""

import pathlib
import signal
import sys
import threading

import dragons

ending = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: ending.set())


@dragons.governed("write:ledger/{account}", inputs=["amount"], output="total")
def book(ledger: pathlib.Path, account: str, amount: int) -> int:
    entry = ledger / account
    total = amount + (int(entry.read_text()) if entry.exists() else 0)
    entry.write_text(str(total))
    return total


def work(inbox: pathlib.Path, ledger: pathlib.Path) -> None:
    for letter in sorted(inbox.glob("*.txt")):
        account, amount = letter.read_text().split()
        letter.unlink()
        try:
            print(f"{account}: {book(ledger, account, int(amount))}", flush=True)
        except dragons.Denied as error:
            print(f"{account}: {error.code}", flush=True)


while not ending.wait(0.2):
    work(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
    dragons.progress()
