"""Python source text from the running interpreter's own standard library.

A fixed list of modules that every supported Python (3.10 to 3.14) has. Their text differs a
little between versions, so the python domain's loss is the one that moves most when the script
runs on another Python.
"""

from __future__ import annotations

import sysconfig
from pathlib import Path

_NAMES = """
    abc argparse ast base64 bdb calendar cmd code codecs collections/__init__ colorsys
    concurrent/futures/_base concurrent/futures/thread configparser contextlib copy copyreg csv
    dataclasses difflib dis email/charset email/header email/message email/utils enum filecmp
    fileinput fnmatch fractions ftplib functools getopt getpass gettext glob gzip hashlib hmac
    html/__init__ html/parser http/client http/cookiejar http/cookies imaplib inspect io
    ipaddress json/decoder json/encoder json/scanner keyword linecache locale logging/__init__
    logging/config logging/handlers lzma mailbox mimetypes netrc numbers operator optparse pdb
    pickle pickletools pkgutil platform plistlib poplib posixpath pprint profile pstats
    py_compile pyclbr queue quopri random reprlib rlcompleter runpy sched secrets selectors
    shelve shlex shutil site smtplib socket socketserver statistics stringprep subprocess
    symtable tabnanny tarfile tempfile threading timeit token tokenize trace traceback types
    typing unittest/case unittest/loader unittest/main unittest/mock unittest/result
    unittest/runner unittest/suite urllib/error urllib/parse urllib/request urllib/robotparser
    uuid warnings wave weakref webbrowser xml/dom/minidom xml/etree/ElementTree xml/sax/handler
    xmlrpc/client zipapp zipfile
"""
TRAINING_MODULES = tuple(_NAMES.split())
HELD_OUT_MODULES = ("heapq", "textwrap", "bisect", "string")


def read_stdlib(names: tuple[str, ...] = TRAINING_MODULES) -> list[str]:
    """The sources of `names`, in that order; a module this Python does not have is left out."""
    root = Path(sysconfig.get_path("stdlib"))
    candidates = [_existing(root, name) for name in names]
    return [path.read_text(encoding="utf-8") for path in candidates if path is not None]


def _existing(root: Path, name: str) -> Path | None:
    """`name` as a file or as a package, whichever this Python has."""
    for path in (root / f"{name}.py", root / name / "__init__.py"):
        if path.is_file():
            return path
    return None
