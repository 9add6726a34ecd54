"""A WASI program that runs one Python script: CPython with WASI-NN.

The script comes in the variable WASMLRUN_SCRIPT and its name in WASMLRUN_SCRIPT_NAME, so it
needs no file and no mount. It may import what is imported here: when the runtime is built its
memory is kept with all of these modules loaded, and there is no disk to load others from.
"""

# ruff: noqa: F401, T201, BLE001
import array
import base64
import bisect
import collections
import collections.abc
import contextlib
import copy
import csv
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import hashlib
import heapq
import io
import itertools
import json
import linecache
import math
import operator
import os
import pathlib
import random
import re
import statistics
import string
import struct
import sys
import textwrap
import time
import traceback
import types
import typing
import zlib

import wasi_nn
from wit_world import exports


class Run(exports.Run):
    """wasi:cli/run."""

    def run(self) -> None:
        """Run the script as `__main__`; its traceback goes to stderr, its exit code is kept."""
        source = os.environ.pop("WASMLRUN_SCRIPT", None)
        if source is None:
            sys.exit("WASMLRUN_SCRIPT is not set: this program runs scripts for wasmlrun")
        name = os.environ.pop("WASMLRUN_SCRIPT_NAME", "script.py")
        # so that a traceback shows the script's lines
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        main = types.ModuleType("__main__")
        main.__file__ = name
        sys.modules["__main__"] = main
        code = 0
        try:
            exec(compile(source, name, "exec"), vars(main))
        except SystemExit as e:
            if e.code is not None and not isinstance(e.code, int):
                print(e.code, file=sys.stderr)
            code = e.code if isinstance(e.code, int) else int(e.code is not None)
        except BaseException as e:
            frames = e.__traceback__.tb_next if e.__traceback__ is not None else None
            traceback.print_exception(type(e), e, frames)
            code = 1
        sys.stdout.flush()
        sys.stderr.flush()
        if code:
            from componentize_py_types import Err

            raise Err(None)
