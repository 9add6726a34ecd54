"""Many pictures with `concurrent.futures` alone: python futures.py PICTURE…

One worker with a process for each processor; threads only wait for its answers.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import wasmlrun


def main(pictures: list[str]) -> None:
    cores = os.cpu_count() or 1
    with wasmlrun.Worker(parallel=cores) as worker, ThreadPoolExecutor(cores) as threads:

        def answer(picture: str) -> str:
            try:
                best = worker.classify(picture).best
            except wasmlrun.WasmlrunError as error:
                return f"{picture}\terror: {error.message}"
            return f"{picture}\t{best.label if best else ''}\t{best.score if best else 0:.3f}"

        for line in threads.map(answer, pictures):
            print(line)


if __name__ == "__main__":
    main(sys.argv[1:])
