"""Train with the version of nmt that Python imports.

Each line of standard input holds the arguments of nmt-train as JSON. A line of standard output answers with the exit
status.

Importing takes longer than a few updates, so this process imports once and forks for each training run.
"""

import json
import os
import sys


def train_all() -> None:
    import datasets  # noqa: F401
    import sacrebleu  # noqa: F401
    import torch._dynamo  # noqa: F401, which the optimizers of torch import

    from nmt.commands.train import main

    for line in sys.stdin:
        child = os.fork()
        if not child:
            sys.exit(main(json.loads(line)))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":  # not in the processes that a training run starts, which import this file
    train_all()
