"""A stub of a run: `stub_job.py FOLDER DEED` locks its folder and writes the files of a run, without importing torch.

Deeds: finish, raise, exit, die (SIGKILL), no-result, environment (write it, unless finished), long (until SIGTERM, then
interrupted), deaf (until SIGKILL), once (until its parent is killed; the second time it finishes), full (out of memory), "full
once" (the second time it finishes), "full beside others" (that hold the memory). A stub that finishes
appends its process id to `times`.
"""

import fcntl
import json
import os
import signal
import sys
import time

folder, deed = sys.argv[1:]


def leave(status, **more):
    temporary = os.path.join(folder, ".result.tmp")
    with open(temporary, "w") as file:
        json.dump({"status": status, "config": {}, "psnr": 30.0, "seconds": 1.0, **more}, file)
    os.replace(temporary, os.path.join(folder, "result.json"))


def finish():
    with open(os.path.join(folder, "times"), "a") as file:
        print(os.getpid(), file=file)
    leave("finished")
    for path in locks:
        os.unlink(path)


def interrupted(number, frame):
    leave("interrupted")
    sys.exit(128 + number)


print("at work", flush=True)
locks = [os.path.join(folder, name) for name in (".flock", ".lock")]  # the files of `dip.runs.Lock`
try:
    for path in locks:
        fcntl.flock(os.open(path, os.O_RDWR | os.O_CREAT), fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    sys.exit("error: another process is at work here")
if deed == "finish":
    finish()
elif deed == "raise":
    leave("failed", error="ValueError: broken")
    raise ValueError("broken")
elif deed == "exit":
    print("error: no such thing", file=sys.stderr)
    sys.exit(3)
elif deed == "die":
    os.kill(os.getpid(), signal.SIGKILL)
elif deed == "environment" and os.path.exists(os.path.join(folder, "times")):
    pass  # finished by another sweep in the meantime
elif deed == "environment":
    with open(os.path.join(folder, "environment.json"), "w") as file:
        json.dump(dict(os.environ), file)
    time.sleep(0.3)
    finish()
elif deed == "once" and os.path.exists(os.path.join(folder, "begun")):
    finish()
elif deed in ("long", "deaf", "once"):
    with open(os.path.join(folder, "pid"), "w") as file:
        print(os.getpid(), file=file)
    signal.signal(signal.SIGTERM, interrupted if deed == "long" else signal.SIG_IGN)
    with open(os.path.join(folder, "begun.new"), "w") as file:
        print(os.getppid(), file=file)
    os.rename(file.name, os.path.join(folder, "begun"))
    time.sleep(60)
elif deed.startswith("full"):
    with open(os.path.join(folder, "starts"), "a+") as file:
        print(time.time(), file=file)
        file.seek(0)
        again = len(file.readlines()) > 1
    if deed == "full once" and again:
        finish()
    else:
        held = " (other processes hold 50.0 of its 80.0 GiB)" if deed.endswith("others") else ""
        leave("failed", error=f"out of memory on cuda at 8 x 8{held}")
        sys.exit(1)
else:
    assert deed == "no-result"
