"""A WASI program that runs one Python script: CPython with WASI-NN.

The script comes in the variable WASMLRUN_SCRIPT and its name in WASMLRUN_SCRIPT_NAME, so it
needs no file and no mount. It may import what is imported here: when the runtime is built its
memory is kept with all of these modules loaded; others come from folders that are mounted, as
PYTHONPATH names them. A script that defines `worker(request)` answers requests (`web`).
"""

# ruff: noqa: F401, T201, BLE001
import __future__

import abc
import argparse
import array
import ast
import base64
import binascii
import bisect
import calendar
import codecs
import collections
import collections.abc
import configparser
import contextlib
import contextvars
import copy
import copyreg
import csv
import dataclasses
import datetime
import decimal
import difflib
import email
import email.message
import email.parser
import email.policy
import email.utils
import encodings.ascii
import encodings.base64_codec
import encodings.cp1252
import encodings.hex_codec
import encodings.idna
import encodings.latin_1
import encodings.punycode
import encodings.raw_unicode_escape
import encodings.unicode_escape
import encodings.utf_8_sig
import encodings.utf_16
import encodings.utf_16_be
import encodings.utf_16_le
import encodings.utf_32
import enum
import fnmatch
import fractions
import functools
import gettext
import glob
import graphlib
import gzip
import hashlib
import heapq
import hmac
import html
import html.entities
import html.parser
import http
import http.cookies
import importlib
import importlib.metadata
import importlib.resources
import inspect
import io
import ipaddress
import itertools
import json
import keyword
import linecache
import locale
import logging
import math
import mimetypes
import numbers
import operator
import os
import pathlib
import pickle
import pprint
import queue
import quopri
import random
import re
import reprlib
import secrets
import shlex
import shutil
import stat
import statistics
import string
import struct
import sys
import tempfile
import textwrap
import threading
import time
import timeit
import tokenize
import tomllib
import traceback
import types
import typing
import unicodedata
import urllib.parse
import uuid
import warnings
import weakref
import xml.dom.minidom
import xml.etree.ElementTree
import xml.sax.saxutils
import zipfile
import zlib
import zoneinfo

import wasi_nn
import web
from wit_world import exports
from wit_world.imports import exit as ending


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
        # the interpreter was started when it was built; the folders are known only now
        sys.path += filter(None, os.environ.get("PYTHONPATH", "").split(":"))
        code = 0
        try:
            compiled = compile(source, name, "exec")
            if web.answers_requests(compiled):
                web.answer(compiled, main)
            else:
                exec(compiled, vars(main))
        except SystemExit as e:
            if e.code is not None and not isinstance(e.code, int):
                print(e.code, file=sys.stderr)
            code = e.code if isinstance(e.code, int) else int(e.code is not None)
        except BaseException as e:
            frames = e.__traceback__
            while frames is not None and frames.tb_frame.f_code.co_filename != name:
                frames = frames.tb_next  # this program's own
            traceback.print_exception(type(e), e, frames)
            code = 1
        sys.stdout.flush()
        sys.stderr.flush()
        if code:
            from componentize_py_types import Err

            ending.with_code(code & 0xFF)

            raise Err(None)
